// Profile `guide`: the guide's five tables with its own column names and its 18 indexes, right or
// wrong, so that its queries run as printed and the findings on it can be shown.
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
    Nullable(Varchar("trigger_type", 100)),
    Nullable(Uuid("parent_execution_id")),
};
constexpr SchemaRule kExecutionsRules[] = {
    Unique("execution_id"),
    Cascading("workflow_id", "workflows"),
    Referring("parent_execution_id", "workflow_executions"),
    OneOf("status", kExecutionStatuses),
};

constexpr SchemaColumn kLogs[] = {
    Id(),
    Uuid("execution_id"),
    Varchar("level", 20),
    Text("message"),
    Nullable(Json("metadata")),
    Time("timestamp", "now"),
};
constexpr SchemaRule kLogsRules[] = {
    Cascading("execution_id", "workflow_executions"),
    OneOf("level", kLogLevels),
};

constexpr std::string_view kIntegrationStatuses[] = {"active", "inactive", "error"};
constexpr SchemaColumn kIntegrations[] = {
    Id(),
    Varchar("name", 255),
    Varchar("type", 100),
    Varchar("status", 50, "'active'"),
    Json("config", "'{}'"),
    Time("created_at", "now"),
    Time("updated_at", "now"),
};
constexpr SchemaRule kIntegrationsRules[] = {Unique("name"), OneOf("status", kIntegrationStatuses)};

constexpr SchemaColumn kEvents[] = {
    Id(),
    Uuid("integration_id"),
    Varchar("event_type", 100),
    Json("payload", "'{}'"),
    Varchar("status", 50, "'pending'"),
    Nullable(Time("processed_at")),
    Time("timestamp", "now"),
};
constexpr SchemaRule kEventsRules[] = {
    Cascading("integration_id", "integrations"),
    OneOf("status", kEventStatuses),
};

constexpr SchemaTable kTables[] = {
    {"workflows", kWorkflows, kWorkflowsRules},
    {"workflow_executions", kExecutions, kExecutionsRules},
    {"execution_logs", kLogs, kLogsRules},
    {"integrations", kIntegrations, kIntegrationsRules},
    {"integration_events", kEvents, kEventsRules},
};

constexpr SchemaIndex kIndexes[] = {
    {"idx_workflows_status", "workflows", "status"},
    {"idx_workflows_created_at", "workflows", "created_at"},
    {.name = "idx_workflows_config", .table = "workflows", .columns = "config", .is_gin = true},
    {"idx_workflow_executions_workflow_id", "workflow_executions", "workflow_id"},
    {"idx_workflow_executions_status", "workflow_executions", "status"},
    {"idx_workflow_executions_started_at", "workflow_executions", "started_at"},
    {"idx_workflow_executions_execution_id", "workflow_executions", "execution_id"},
    {"idx_workflow_executions_trigger_type", "workflow_executions", "trigger_type"},
    {"idx_workflow_executions_composite", "workflow_executions", "workflow_id, status, started_at"},
    {"idx_execution_logs_execution_id", "execution_logs", "execution_id"},
    {"idx_execution_logs_level", "execution_logs", "level"},
    {"idx_execution_logs_timestamp", "execution_logs", "timestamp"},
    {"idx_integrations_type", "integrations", "type"},
    {"idx_integrations_status", "integrations", "status"},
    {"idx_integration_events_integration_id", "integration_events", "integration_id"},
    {"idx_integration_events_event_type", "integration_events", "event_type"},
    {"idx_integration_events_timestamp", "integration_events", "timestamp"},
    {"idx_integration_events_composite", "integration_events", "integration_id, timestamp"},
};

constexpr SchemaProfile kProfile = {"guide", kTables, kIndexes, {}, {}};

}  // namespace

const SchemaProfile& GuideProfile() {
    return kProfile;
}

}  // namespace upkeep::workflow
