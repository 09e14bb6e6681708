-- The state in which advice has something to find: tables and keys, no further index.
DO $$
DECLARE
    index_name text;
BEGIN
    FOR index_name IN
        SELECT i.indexrelid::regclass::text
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE c.relname IN ('workflows', 'workflow_executions', 'workflow_actions', 'execution_logs', 'integrations',
                            'integration_events', 'workflow_triggers', 'allowed_commenters', 'comment_filter_settings')
          AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
    LOOP
        EXECUTE 'DROP INDEX ' || index_name;
    END LOOP;
END $$;
