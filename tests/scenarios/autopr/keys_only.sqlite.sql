-- The state in which advice has something to find: tables and keys, no further index.
DROP INDEX IF EXISTS idx_execution_logs_action;
DROP INDEX IF EXISTS idx_execution_logs_created_at;
DROP INDEX IF EXISTS idx_execution_logs_errors;
DROP INDEX IF EXISTS idx_execution_logs_execution;
DROP INDEX IF EXISTS idx_integration_events_composite;
DROP INDEX IF EXISTS idx_integration_events_created_at;
DROP INDEX IF EXISTS idx_integration_events_queue;
DROP INDEX IF EXISTS idx_workflow_executions_completed_at;
DROP INDEX IF EXISTS idx_workflow_executions_composite;
DROP INDEX IF EXISTS idx_workflow_executions_failed;
DROP INDEX IF EXISTS idx_workflow_executions_live;
DROP INDEX IF EXISTS idx_workflow_executions_parent;
DROP INDEX IF EXISTS idx_workflow_executions_started_at;
DROP INDEX IF EXISTS idx_workflow_triggers_workflow_id;
DROP INDEX IF EXISTS idx_workflows_created_at;
DROP INDEX IF EXISTS idx_workflows_status_created;
