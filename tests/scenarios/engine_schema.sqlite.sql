-- The engine's own nine tables and 30 indexes; its GIN index has no counterpart in SQLite.
-- Test data for the golden list of index findings.
CREATE TABLE workflows (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    status TEXT NOT NULL DEFAULT 'active',
    config TEXT NOT NULL DEFAULT '{}',
    created_by TEXT,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (name),
    CHECK (status IN ('active', 'inactive', 'archived', 'draft'))
);
CREATE TABLE workflow_executions (
    id TEXT PRIMARY KEY NOT NULL,
    workflow_id TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    execution_id TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending',
    started_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    completed_at TEXT,
    result TEXT,
    error_message TEXT,
    retry_count INTEGER NOT NULL DEFAULT 0,
    parent_execution_id TEXT REFERENCES workflow_executions (id),
    trigger_type TEXT,
    trigger_data TEXT,
    UNIQUE (execution_id),
    CHECK (status IN ('pending', 'running', 'completed', 'failed', 'timeout', 'cancelled')),
    CHECK (completed_at IS NULL OR completed_at >= started_at)
);
CREATE TABLE workflow_actions (
    id TEXT PRIMARY KEY NOT NULL,
    workflow_id TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    action_type TEXT NOT NULL,
    action_name TEXT NOT NULL,
    config TEXT NOT NULL DEFAULT '{}',
    order_index INTEGER NOT NULL,
    conditions TEXT,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (workflow_id, order_index),
    CHECK (order_index >= 0)
);
CREATE TABLE execution_logs (
    id TEXT PRIMARY KEY NOT NULL,
    execution_id TEXT NOT NULL REFERENCES workflow_executions (id) ON DELETE CASCADE,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    log_metadata TEXT,
    action_id TEXT REFERENCES workflow_actions (id),
    step_name TEXT,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CHECK (level IN ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'))
);
CREATE TABLE integrations (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    config TEXT NOT NULL DEFAULT '{}',
    enabled INTEGER NOT NULL DEFAULT 1,
    health_status TEXT NOT NULL DEFAULT 'unknown',
    last_health_check TEXT,
    credentials_encrypted TEXT,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (name),
    CHECK (type IN ('github', 'linear', 'slack', 'axolo', 'teams', 'discord', 'jira', 'sentry', 'datadog')),
    CHECK (health_status IN ('healthy', 'degraded', 'unhealthy', 'unknown'))
);
CREATE TABLE integration_events (
    id TEXT PRIMARY KEY NOT NULL,
    integration_id TEXT NOT NULL REFERENCES integrations (id) ON DELETE CASCADE,
    event_type TEXT NOT NULL,
    event_id TEXT,
    payload TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending',
    processed_at TEXT,
    error_message TEXT,
    retry_count INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'ignored'))
);
CREATE TABLE workflow_triggers (
    id TEXT PRIMARY KEY NOT NULL,
    workflow_id TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    trigger_type TEXT NOT NULL,
    conditions TEXT NOT NULL DEFAULT '{}',
    enabled INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CHECK (trigger_type IN ('event', 'schedule', 'webhook', 'manual'))
);
CREATE TABLE allowed_commenters (
    id TEXT PRIMARY KEY NOT NULL,
    github_username TEXT NOT NULL,
    github_user_id INTEGER,
    enabled INTEGER NOT NULL DEFAULT 1,
    added_by TEXT,
    notes TEXT,
    last_comment_at TEXT,
    comment_count INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (github_username)
);
CREATE TABLE comment_filter_settings (
    id TEXT PRIMARY KEY NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1,
    auto_add_commenters INTEGER NOT NULL DEFAULT 0,
    auto_reply_enabled INTEGER NOT NULL DEFAULT 0,
    auto_reply_message TEXT NOT NULL,
    whitelist_mode INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE alembic_version (version_num TEXT NOT NULL PRIMARY KEY);
CREATE INDEX idx_workflows_status ON workflows (status);
CREATE INDEX idx_workflows_created_at ON workflows (created_at);
CREATE INDEX idx_workflow_executions_workflow_id ON workflow_executions (workflow_id);
CREATE INDEX idx_workflow_executions_status ON workflow_executions (status);
CREATE INDEX idx_workflow_executions_started_at ON workflow_executions (started_at);
CREATE INDEX idx_workflow_executions_execution_id ON workflow_executions (execution_id);
CREATE INDEX idx_workflow_executions_trigger_type ON workflow_executions (trigger_type);
CREATE INDEX idx_workflow_executions_composite ON workflow_executions (workflow_id, status, started_at);
CREATE INDEX idx_workflow_actions_workflow_id ON workflow_actions (workflow_id);
CREATE INDEX idx_workflow_actions_type ON workflow_actions (action_type);
CREATE INDEX idx_workflow_actions_order ON workflow_actions (workflow_id, order_index);
CREATE INDEX idx_execution_logs_execution_id ON execution_logs (execution_id);
CREATE INDEX idx_execution_logs_level ON execution_logs (level);
CREATE INDEX idx_execution_logs_created_at ON execution_logs (created_at);
CREATE INDEX idx_execution_logs_composite ON execution_logs (execution_id, level, created_at);
CREATE INDEX idx_integrations_type ON integrations (type);
CREATE INDEX idx_integrations_enabled ON integrations (enabled);
CREATE INDEX idx_integrations_health ON integrations (health_status);
CREATE INDEX idx_integration_events_integration_id ON integration_events (integration_id);
CREATE INDEX idx_integration_events_status ON integration_events (status);
CREATE INDEX idx_integration_events_type ON integration_events (event_type);
CREATE INDEX idx_integration_events_created_at ON integration_events (created_at);
CREATE INDEX idx_integration_events_queue ON integration_events (status, created_at) WHERE status IN ('pending', 'processing');
CREATE INDEX idx_workflow_triggers_workflow_id ON workflow_triggers (workflow_id);
CREATE INDEX idx_workflow_triggers_type ON workflow_triggers (trigger_type);
CREATE INDEX idx_workflow_triggers_enabled ON workflow_triggers (enabled);
CREATE INDEX idx_allowed_commenters_username ON allowed_commenters (github_username);
CREATE INDEX idx_allowed_commenters_enabled ON allowed_commenters (enabled);
CREATE INDEX idx_allowed_commenters_user_id ON allowed_commenters (github_user_id);
CREATE INDEX idx_comment_filter_settings_enabled ON comment_filter_settings (enabled);
