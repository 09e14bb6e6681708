-- The engine's own nine tables and 31 indexes, json as jsonb so that its GIN index can be made: 46 indexes
-- with the keys. Test data for the golden list of index findings.
CREATE TABLE workflows (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    description text,
    status varchar(50) NOT NULL DEFAULT 'active',
    config jsonb NOT NULL DEFAULT '{}',
    created_by varchar(255),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name),
    CHECK (status IN ('active', 'inactive', 'archived', 'draft'))
);
CREATE TABLE workflow_executions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workflow_id uuid NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    execution_id varchar(255) NOT NULL,
    status varchar(50) NOT NULL DEFAULT 'pending',
    started_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    result jsonb,
    error_message text,
    retry_count integer NOT NULL DEFAULT 0,
    parent_execution_id uuid REFERENCES workflow_executions (id),
    trigger_type varchar(100),
    trigger_data jsonb,
    UNIQUE (execution_id),
    CHECK (status IN ('pending', 'running', 'completed', 'failed', 'timeout', 'cancelled')),
    CHECK (completed_at IS NULL OR completed_at >= started_at)
);
CREATE TABLE workflow_actions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workflow_id uuid NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    action_type varchar(100) NOT NULL,
    action_name varchar(255) NOT NULL,
    config jsonb NOT NULL DEFAULT '{}',
    order_index integer NOT NULL,
    conditions jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workflow_id, order_index),
    CHECK (order_index >= 0)
);
CREATE TABLE execution_logs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    execution_id uuid NOT NULL REFERENCES workflow_executions (id) ON DELETE CASCADE,
    level varchar(20) NOT NULL,
    message text NOT NULL,
    log_metadata jsonb,
    action_id uuid REFERENCES workflow_actions (id),
    step_name varchar(255),
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (level IN ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'))
);
CREATE TABLE integrations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    type varchar(100) NOT NULL,
    config jsonb NOT NULL DEFAULT '{}',
    enabled boolean NOT NULL DEFAULT true,
    health_status varchar(50) NOT NULL DEFAULT 'unknown',
    last_health_check timestamptz,
    credentials_encrypted text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name),
    CHECK (type IN ('github', 'linear', 'slack', 'axolo', 'teams', 'discord', 'jira', 'sentry', 'datadog')),
    CHECK (health_status IN ('healthy', 'degraded', 'unhealthy', 'unknown'))
);
CREATE TABLE integration_events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    integration_id uuid NOT NULL REFERENCES integrations (id) ON DELETE CASCADE,
    event_type varchar(100) NOT NULL,
    event_id varchar(255),
    payload jsonb NOT NULL,
    status varchar(50) NOT NULL DEFAULT 'pending',
    processed_at timestamptz,
    error_message text,
    retry_count integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'ignored'))
);
CREATE TABLE workflow_triggers (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workflow_id uuid NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    trigger_type varchar(100) NOT NULL,
    conditions jsonb NOT NULL DEFAULT '{}',
    enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (trigger_type IN ('event', 'schedule', 'webhook', 'manual'))
);
CREATE TABLE allowed_commenters (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    github_username varchar(255) NOT NULL,
    github_user_id integer,
    enabled boolean NOT NULL DEFAULT true,
    added_by varchar(255),
    notes text,
    last_comment_at timestamptz,
    comment_count integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (github_username)
);
CREATE TABLE comment_filter_settings (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    enabled boolean NOT NULL DEFAULT true,
    auto_add_commenters boolean NOT NULL DEFAULT false,
    auto_reply_enabled boolean NOT NULL DEFAULT false,
    auto_reply_message text NOT NULL,
    whitelist_mode boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY);
CREATE INDEX idx_workflows_status ON workflows (status);
CREATE INDEX idx_workflows_created_at ON workflows (created_at);
CREATE INDEX idx_workflows_config ON workflows USING gin (config);
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
