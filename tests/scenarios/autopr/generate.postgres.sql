-- The AutoPR sample data, PostgreSQL: psql -v scale=100000 -f generate.postgres.sql
-- `scale` is the number of workflow executions (default 10000). Needs the tables of profile
-- `corrected`, empty. The same rows as generate.sqlite.sql: every value is arithmetic on the row
-- number, h(n, salt) = n * (2654435761 + salt * 1000003) % 4294967296 * 97 / 65536 % 10000 is the dice.
-- No ANALYZE here: statistics are the caller's decision.
\if :{?scale}
\else
\set scale 10000
\endif
BEGIN;
CREATE FUNCTION pg_temp.h(n bigint, salt bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT (((n * (2654435761 + salt * 1000003)) % 4294967296) * 97 / 65536) % 10000 $$;
CREATE FUNCTION pg_temp.uid(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT (lpad(to_hex(kind), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;
CREATE TEMP TABLE shape ON COMMIT DROP AS
    SELECT :scale::bigint AS executions, greatest(20, least(500, :scale::bigint / 200)) AS workflows;

INSERT INTO workflows (id, name, description, status, config, created_by, created_at, updated_at)
SELECT pg_temp.uid(1, n), 'workflow-' || lpad(n::text, 4, '0'),
       CASE WHEN n % 3 = 0 THEN NULL ELSE 'Handles pull requests of team ' || n % 17 END,
       CASE WHEN n % 3 < 2 THEN 'active' WHEN n % 4 = 0 THEN 'archived' WHEN n % 4 = 1 THEN 'draft' ELSE 'inactive' END,
       ('{"team":' || n % 17 || ',"retries":' || n % 4 || ',"notify":' || CASE WHEN n % 2 = 0 THEN 'true' ELSE 'false' END || '}')::jsonb,
       'user' || n % 40,
       timestamptz '2026-03-01 00:00:00+00' + n * interval '137 second',
       timestamptz '2026-03-01 00:00:00+00' + n * interval '137 second'
FROM shape, generate_series(1, workflows) AS n;

INSERT INTO workflow_actions (id, workflow_id, action_type, action_name, config, order_index, created_at, updated_at)
SELECT pg_temp.uid(2, w * 10 + k), pg_temp.uid(1, w), (ARRAY['review','label','comment','merge'])[1 + (w + k) % 4],
       'action-' || w || '-' || k, '{}', k, timestamptz '2026-03-01 00:00:00+00', timestamptz '2026-03-01 00:00:00+00'
FROM shape, generate_series(1, workflows) AS w, generate_series(0, 3) AS k;

INSERT INTO workflow_triggers (id, workflow_id, trigger_type, conditions, enabled, created_at, updated_at)
SELECT pg_temp.uid(3, w * 10 + k), pg_temp.uid(1, w), (ARRAY['event','schedule','webhook','manual'])[1 + (w + k) % 4],
       '{}', (w + k) % 5 <> 0, timestamptz '2026-03-01 00:00:00+00', timestamptz '2026-03-01 00:00:00+00'
FROM shape, generate_series(1, workflows) AS w, generate_series(0, 1) AS k;

-- Popularity: squared dice, so that a tenth of the workflows has a third of the executions. Time:
-- 90 days up to 2026-06-30, one after the other. Pending and running only among the newest 0.4 %.
INSERT INTO workflow_executions (id, workflow_id, execution_id, status, started_at, completed_at, result,
    error_message, retry_count, parent_execution_id, trigger_type, trigger_data)
SELECT pg_temp.uid(4, n), pg_temp.uid(1, workflow), 'exec-' || lpad(n::text, 9, '0'), status, started_at,
       CASE WHEN status IN ('pending', 'running') THEN NULL ELSE started_at + ms * interval '1 millisecond' END,
       CASE WHEN status = 'completed' THEN ('{"ok":true,"files":' || n % 40 || '}')::jsonb END,
       CASE WHEN status IN ('failed', 'timeout') THEN 'step ' || n % 12 || ' did not finish' END,
       CASE WHEN n % 31 = 0 THEN 1 ELSE 0 END,
       CASE WHEN n % 31 = 0 AND n > 31 THEN pg_temp.uid(4, n - 7) END,
       (ARRAY['event','event','event','webhook','webhook','schedule','schedule','manual'])[1 + pg_temp.h(n, 5) % 8],
       CASE WHEN n % 5 = 0 THEN ('{"pr":' || n % 9000 || '}')::jsonb END
FROM (
    SELECT n, 1 + (pg_temp.h(n, 1) * pg_temp.h(n, 1) * workflows) / 100000000 AS workflow,
           timestamptz '2026-04-01 00:00:00+00'
               + ((n * 7776000000) / executions + pg_temp.h(n, 2) / 10) * interval '1 millisecond' AS started_at,
           CASE WHEN n > executions - executions / 500 AND n % 2 = 0 THEN 'pending'
                WHEN n > executions - executions / 250 AND n % 3 = 0 THEN 'running'
                WHEN pg_temp.h(n, 3) < 9000 THEN 'completed'
                WHEN pg_temp.h(n, 3) < 9600 THEN 'failed'
                WHEN pg_temp.h(n, 3) < 9800 THEN 'timeout' ELSE 'cancelled' END AS status,
           200 + pg_temp.h(n, 4) * pg_temp.h(n, 6) / 2000 AS ms
    FROM shape, generate_series(1, executions) AS n
) AS rolled;

INSERT INTO execution_logs (id, execution_id, level, message, log_metadata, action_id, step_name, created_at)
SELECT pg_temp.uid(5, n * 4 + k), pg_temp.uid(4, n),
       CASE WHEN dice < 30 THEN 'CRITICAL' WHEN dice < 220 THEN 'ERROR' WHEN dice < 900 THEN 'WARNING'
            WHEN dice < 6000 THEN 'INFO' ELSE 'DEBUG' END,
       'step ' || k || ' of execution ' || n || ' says ' || dice,
       CASE WHEN n % 4 = 0 THEN ('{"attempt":' || k || '}')::jsonb END,
       CASE WHEN dice % 10 = 0 THEN pg_temp.uid(2, workflow * 10 + k) END,
       'step-' || k,
       started_at + k * interval '150 millisecond'
FROM (
    SELECT n, k, pg_temp.h(n * 4 + k, 7) AS dice,
           1 + (pg_temp.h(n, 1) * pg_temp.h(n, 1) * workflows) / 100000000 AS workflow,
           timestamptz '2026-04-01 00:00:00+00'
               + ((n * 7776000000) / executions + pg_temp.h(n, 2) / 10) * interval '1 millisecond' AS started_at
    FROM shape, generate_series(1, executions) AS n, generate_series(0, 2) AS k
) AS rolled;

INSERT INTO integrations (id, name, type, config, enabled, health_status, last_health_check, created_at, updated_at)
SELECT pg_temp.uid(6, n), type || '-main', type, '{}', n % 4 <> 0,
       (ARRAY['healthy','degraded','unhealthy','unknown'])[1 + n % 4], timestamptz '2026-06-30 00:00:00+00',
       timestamptz '2026-03-01 00:00:00+00', timestamptz '2026-03-01 00:00:00+00'
FROM unnest(ARRAY['github','linear','slack','axolo','teams','discord','jira','sentry','datadog']) WITH ORDINALITY AS t(type, n);

INSERT INTO integration_events (id, integration_id, event_type, event_id, payload, status, processed_at, error_message,
    retry_count, created_at)
SELECT pg_temp.uid(7, n), pg_temp.uid(6, 1 + pg_temp.h(n, 8) % 9),
       (ARRAY['push','pull_request','issue_comment','review','deploy'])[1 + pg_temp.h(n, 9) % 5],
       'evt-' || n, ('{"n":' || n || '}')::jsonb, status,
       CASE WHEN status IN ('completed', 'ignored') THEN created_at + interval '2 second' END,
       CASE WHEN status = 'failed' THEN 'delivery refused' END, CASE WHEN status = 'failed' THEN 3 ELSE 0 END, created_at
FROM (
    SELECT n, timestamptz '2026-04-01 00:00:00+00' + ((n * 7776000000) / executions) * interval '1 millisecond' AS created_at,
           CASE WHEN n > executions - executions / 400 THEN CASE WHEN n % 3 = 0 THEN 'processing' ELSE 'pending' END
                WHEN pg_temp.h(n, 10) < 9300 THEN 'completed' WHEN pg_temp.h(n, 10) < 9700 THEN 'failed'
                ELSE 'ignored' END AS status
    FROM shape, generate_series(1, executions) AS n
) AS rolled;

INSERT INTO allowed_commenters (id, github_username, github_user_id, enabled, added_by, comment_count, created_at, updated_at)
SELECT pg_temp.uid(8, n), 'dev' || n, 1000 + n, n % 10 <> 0, 'user1', n % 50,
       timestamptz '2026-03-01 00:00:00+00', timestamptz '2026-03-01 00:00:00+00'
FROM generate_series(1, 200) AS n;

INSERT INTO comment_filter_settings (id, enabled, auto_add_commenters, auto_reply_enabled, auto_reply_message, whitelist_mode,
    created_at, updated_at)
VALUES (pg_temp.uid(9, 1), true, false, false, 'Thank you', true, timestamptz '2026-03-01 00:00:00+00',
    timestamptz '2026-03-01 00:00:00+00');
COMMIT;
