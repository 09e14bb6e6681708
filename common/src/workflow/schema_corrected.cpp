// Profile `corrected`: the engine's nine tables with every json as jsonb, and the indexes that pay.
// SPDX-License-Identifier: PostgreSQL
#include "schema_data.h"

namespace upkeep::workflow {

namespace {

constexpr SchemaColumn kWorkflows[] = {
    Id(),
    Varchar("name", 255),
    Nullable(Text("description")),
    Varchar("status", 50, "'active'"),
    Json("config", "'{}'"),
    Nullable(Varchar("created_by", 255)),
    Time("created_at", "now"),
    Time("updated_at", "now"),
};
constexpr SchemaRule kWorkflowsRules[] = {Unique("name"), OneOf("status", kWorkflowStatuses)};

constexpr SchemaColumn kExecutions[] = {
    Id(),
    Uuid("workflow_id"),
    Varchar("execution_id", 255),
    Varchar("status", 50, "'pending'"),
    Time("started_at", "now"),
    Nullable(Time("completed_at")),
    Nullable(Json("result")),
    Nullable(Text("error_message")),
    Integer("retry_count", "0"),
    Nullable(Uuid("parent_execution_id")),
    Nullable(Varchar("trigger_type", 100)),
    Nullable(Json("trigger_data")),
};
constexpr SchemaRule kExecutionsRules[] = {
    Unique("execution_id"),
    Cascading("workflow_id", "workflows"),
    Referring("parent_execution_id", "workflow_executions"),
    OneOf("status", kExecutionStatuses),
    {RuleKind::kNotBefore, "completed_at", "started_at"},
};

constexpr SchemaColumn kActions[] = {
    Id(),
    Uuid("workflow_id"),
    Varchar("action_type", 100),
    Varchar("action_name", 255),
    Json("config", "'{}'"),
    Integer("order_index"),
    Nullable(Json("conditions")),
    Time("created_at", "now"),
    Time("updated_at", "now"),
};
constexpr SchemaRule kActionsRules[] = {
    Unique("workflow_id, order_index"),
    Cascading("workflow_id", "workflows"),
    {RuleKind::kNotNegative, "order_index"},
};

constexpr SchemaColumn kLogs[] = {
    Id(),
    Uuid("execution_id"),
    Varchar("level", 20),
    Text("message"),
    Nullable(Json("log_metadata")),
    Nullable(Uuid("action_id")),
    Nullable(Varchar("step_name", 255)),
    Time("created_at", "now"),
};
constexpr SchemaRule kLogsRules[] = {
    Cascading("execution_id", "workflow_executions"),
    Referring("action_id", "workflow_actions"),
    OneOf("level", kLogLevels),
};

constexpr std::string_view kIntegrationTypes[] = {"github",  "linear", "slack",  "axolo",  "teams",
                                                  "discord", "jira",   "sentry", "datadog"};
constexpr std::string_view kHealthStatuses[] = {"healthy", "degraded", "unhealthy", "unknown"};
constexpr SchemaColumn kIntegrations[] = {
    Id(),
    Varchar("name", 255),
    Varchar("type", 100),
    Json("config", "'{}'"),
    Bool("enabled", "true"),
    Varchar("health_status", 50, "'unknown'"),
    Nullable(Time("last_health_check")),
    Nullable(Text("credentials_encrypted")),
    Time("created_at", "now"),
    Time("updated_at", "now"),
};
constexpr SchemaRule kIntegrationsRules[] = {
    Unique("name"),
    OneOf("type", kIntegrationTypes),
    OneOf("health_status", kHealthStatuses),
};

constexpr SchemaColumn kEvents[] = {
    Id(),
    Uuid("integration_id"),
    Varchar("event_type", 100),
    Nullable(Varchar("event_id", 255)),
    Json("payload"),
    Varchar("status", 50, "'pending'"),
    Nullable(Time("processed_at")),
    Nullable(Text("error_message")),
    Integer("retry_count", "0"),
    Time("created_at", "now"),
};
constexpr SchemaRule kEventsRules[] = {
    Cascading("integration_id", "integrations"),
    OneOf("status", kEventStatuses),
};

constexpr std::string_view kTriggerTypes[] = {"event", "schedule", "webhook", "manual"};
constexpr SchemaColumn kTriggers[] = {
    Id(),
    Uuid("workflow_id"),
    Varchar("trigger_type", 100),
    Json("conditions", "'{}'"),
    Bool("enabled", "true"),
    Time("created_at", "now"),
    Time("updated_at", "now"),
};
constexpr SchemaRule kTriggersRules[] = {
    Cascading("workflow_id", "workflows"),
    OneOf("trigger_type", kTriggerTypes),
};

constexpr SchemaColumn kCommenters[] = {
    Id(),
    Varchar("github_username", 255),
    Nullable(Integer("github_user_id")),
    Bool("enabled", "true"),
    Nullable(Varchar("added_by", 255)),
    Nullable(Text("notes")),
    Nullable(Time("last_comment_at")),
    Integer("comment_count", "0"),
    Time("created_at", "now"),
    Time("updated_at", "now"),
};
constexpr SchemaRule kCommentersRules[] = {Unique("github_username")};

constexpr SchemaColumn kFilterSettings[] = {
    Id(),
    Bool("enabled", "true"),
    Bool("auto_add_commenters", "false"),
    Bool("auto_reply_enabled", "false"),
    Text("auto_reply_message"),
    Bool("whitelist_mode", "true"),
    Time("created_at", "now"),
    Time("updated_at", "now"),
};

constexpr SchemaTable kTables[] = {
    {"workflows", kWorkflows, kWorkflowsRules},
    {"workflow_executions", kExecutions, kExecutionsRules},
    {"workflow_actions", kActions, kActionsRules},
    {"execution_logs", kLogs, kLogsRules},
    {"integrations", kIntegrations, kIntegrationsRules},
    {"integration_events", kEvents, kEventsRules},
    {"workflow_triggers", kTriggers, kTriggersRules},
    {"allowed_commenters", kCommenters, kCommentersRules},
    {"comment_filter_settings", kFilterSettings, {}},
};

constexpr std::string_view kLive[] = {"pending", "running"};
constexpr std::string_view kFailed[] = {"failed", "timeout"};
constexpr std::string_view kErrors[] = {"ERROR", "CRITICAL"};
constexpr std::string_view kQueued[] = {"pending", "processing"};

constexpr SchemaIndex kIndexes[] = {
    {"idx_workflows_status_created", "workflows", "status, created_at DESC, id DESC"},
    {"idx_workflows_created_at", "workflows", "created_at DESC, id DESC"},
    {"idx_workflow_executions_composite", "workflow_executions", "workflow_id, status, started_at"},
    {"idx_workflow_executions_started_at", "workflow_executions", "started_at"},
    {"idx_workflow_executions_live", "workflow_executions", "started_at", "status", kLive},
    {"idx_workflow_executions_failed", "workflow_executions", "started_at", "status", kFailed},
    {"idx_workflow_executions_parent", "workflow_executions", "parent_execution_id",
     "parent_execution_id"},
    {"idx_workflow_executions_completed_at", "workflow_executions", "completed_at", "completed_at"},
    {"idx_execution_logs_execution", "execution_logs", "execution_id, created_at"},
    {"idx_execution_logs_errors", "execution_logs", "created_at", "level", kErrors},
    {"idx_execution_logs_created_at", "execution_logs", "created_at"},
    {"idx_execution_logs_action", "execution_logs", "action_id", "action_id"},
    {"idx_integration_events_composite", "integration_events", "integration_id, created_at"},
    {"idx_integration_events_created_at", "integration_events", "created_at"},
    {"idx_integration_events_queue", "integration_events", "created_at", "status", kQueued},
    {"idx_workflow_triggers_workflow_id", "workflow_triggers", "workflow_id"},
};

constexpr IndexFate kFates[] = {
    {"idx_workflows_status", "replaced by idx_workflows_status_created"},
    {"idx_workflows_created_at", "kept, with a tie-breaker"},
    {"idx_workflows_config", "opt-in"},
    {"idx_workflow_executions_workflow_id", "dropped: prefix of the composite"},
    {"idx_workflow_executions_status",
     "replaced by idx_workflow_executions_live and idx_workflow_executions_failed"},
    {"idx_workflow_executions_started_at", "kept"},
    {"idx_workflow_executions_execution_id", "dropped: the unique constraint is the same index"},
    {"idx_workflow_executions_trigger_type", "dropped: left to the advisor"},
    {"idx_workflow_executions_composite", "kept"},
    {"idx_execution_logs_execution_id", "replaced by idx_execution_logs_execution"},
    {"idx_execution_logs_level", "replaced by idx_execution_logs_errors"},
    {"idx_execution_logs_timestamp", "kept as idx_execution_logs_created_at"},
    {"idx_integrations_type", "dropped: too few rows to pay"},
    {"idx_integrations_status", "dropped: too few rows to pay"},
    {"idx_integration_events_integration_id", "dropped: prefix of the composite"},
    {"idx_integration_events_event_type", "dropped: left to the advisor"},
    {"idx_integration_events_timestamp", "kept as idx_integration_events_created_at"},
    {"idx_integration_events_composite", "kept"},
};

// Two migrations of the engine, 8f7f9c9512ec and then this one, make these nine tables.
constexpr SchemaProfile kProfile = {"corrected", kTables, kIndexes, kFates, "9a1b2c3d4e5f"};

}  // namespace

const SchemaProfile& CorrectedProfile() {
    return kProfile;
}

}  // namespace upkeep::workflow
