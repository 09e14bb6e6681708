-- The AutoPR sample data, SQLite: the same rows as generate.postgres.sql (the dice are explained there).
-- Before: CREATE TEMP TABLE scenario_scale AS SELECT 100000 AS n;   -- executions
-- Needs the tables of profile `corrected`, empty. No dot commands: works in the shell and in drivers.
-- Brackets after ||: it binds closer than % here, other than in PostgreSQL.
-- No ANALYZE here: statistics are the caller's decision.
BEGIN;
CREATE TEMP TABLE shape AS
    SELECT n AS executions, max(20, min(500, n / 200)) AS workflows FROM scenario_scale;
CREATE TEMP TABLE dice AS
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers, shape WHERE n < executions)
SELECT n,
       (((n * (2654435761 + 1 * 1000003)) % 4294967296) * 97 / 65536) % 10000 AS h1,
       (((n * (2654435761 + 2 * 1000003)) % 4294967296) * 97 / 65536) % 10000 AS h2,
       (((n * (2654435761 + 3 * 1000003)) % 4294967296) * 97 / 65536) % 10000 AS h3,
       (((n * (2654435761 + 4 * 1000003)) % 4294967296) * 97 / 65536) % 10000 AS h4,
       (((n * (2654435761 + 5 * 1000003)) % 4294967296) * 97 / 65536) % 10000 AS h5,
       (((n * (2654435761 + 6 * 1000003)) % 4294967296) * 97 / 65536) % 10000 AS h6,
       (((n * (2654435761 + 8 * 1000003)) % 4294967296) * 97 / 65536) % 10000 AS h8,
       (((n * (2654435761 + 9 * 1000003)) % 4294967296) * 97 / 65536) % 10000 AS h9,
       (((n * (2654435761 + 10 * 1000003)) % 4294967296) * 97 / 65536) % 10000 AS h10
FROM numbers;
CREATE TEMP TABLE rolled AS
SELECT n, 1 + (h1 * h1 * workflows) / 100000000 AS workflow,
       1775001600000 + (n * 7776000000) / executions + h2 / 10 AS started_ms,  -- since 1970, from 2026-04-01
       CASE WHEN n > executions - executions / 500 AND n % 2 = 0 THEN 'pending'
            WHEN n > executions - executions / 250 AND n % 3 = 0 THEN 'running'
            WHEN h3 < 9000 THEN 'completed' WHEN h3 < 9600 THEN 'failed'
            WHEN h3 < 9800 THEN 'timeout' ELSE 'cancelled' END AS status,
       200 + h4 * h6 / 2000 AS ms, h5
FROM dice, shape;

INSERT INTO workflows (id, name, description, status, config, created_by, created_at, updated_at)
SELECT printf('%08x-0000-4000-8000-%012x', 1, n), printf('workflow-%04d', n),
       CASE WHEN n % 3 = 0 THEN NULL ELSE 'Handles pull requests of team ' || (n % 17) END,
       CASE WHEN n % 3 < 2 THEN 'active' WHEN n % 4 = 0 THEN 'archived' WHEN n % 4 = 1 THEN 'draft' ELSE 'inactive' END,
       '{"team":' || (n % 17) || ',"retries":' || (n % 4) || ',"notify":' || CASE WHEN n % 2 = 0 THEN 'true' ELSE 'false' END || '}',
       'user' || (n % 40),
       strftime('%Y-%m-%d %H:%M:%f', 1772323200 + n * 137, 'unixepoch'),
       strftime('%Y-%m-%d %H:%M:%f', 1772323200 + n * 137, 'unixepoch')
FROM dice, shape WHERE n <= workflows;

INSERT INTO workflow_actions (id, workflow_id, action_type, action_name, config, order_index, created_at, updated_at)
SELECT printf('%08x-0000-4000-8000-%012x', 2, w.n * 10 + k), printf('%08x-0000-4000-8000-%012x', 1, w.n),
       CASE (w.n + k) % 4 WHEN 0 THEN 'review' WHEN 1 THEN 'label' WHEN 2 THEN 'comment' ELSE 'merge' END,
       'action-' || w.n || '-' || k, '{}', k, '2026-03-01 00:00:00.000', '2026-03-01 00:00:00.000'
FROM dice AS w, shape, (SELECT 0 AS k UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3)
WHERE w.n <= workflows;

INSERT INTO workflow_triggers (id, workflow_id, trigger_type, conditions, enabled, created_at, updated_at)
SELECT printf('%08x-0000-4000-8000-%012x', 3, w.n * 10 + k), printf('%08x-0000-4000-8000-%012x', 1, w.n),
       CASE (w.n + k) % 4 WHEN 0 THEN 'event' WHEN 1 THEN 'schedule' WHEN 2 THEN 'webhook' ELSE 'manual' END,
       '{}', (w.n + k) % 5 <> 0, '2026-03-01 00:00:00.000', '2026-03-01 00:00:00.000'
FROM dice AS w, shape, (SELECT 0 AS k UNION ALL SELECT 1) WHERE w.n <= workflows;

INSERT INTO workflow_executions (id, workflow_id, execution_id, status, started_at, completed_at, result,
    error_message, retry_count, parent_execution_id, trigger_type, trigger_data)
SELECT printf('%08x-0000-4000-8000-%012x', 4, n), printf('%08x-0000-4000-8000-%012x', 1, workflow),
       printf('exec-%09d', n), status,
       strftime('%Y-%m-%d %H:%M:', started_ms / 1000, 'unixepoch') || printf('%02d.%03d', started_ms / 1000 % 60, started_ms % 1000),
       CASE WHEN status IN ('pending', 'running') THEN NULL
            ELSE strftime('%Y-%m-%d %H:%M:', (started_ms + ms) / 1000, 'unixepoch')
                 || printf('%02d.%03d', (started_ms + ms) / 1000 % 60, (started_ms + ms) % 1000) END,
       CASE WHEN status = 'completed' THEN '{"ok":true,"files":' || (n % 40) || '}' END,
       CASE WHEN status IN ('failed', 'timeout') THEN 'step ' || (n % 12) || ' did not finish' END,
       CASE WHEN n % 31 = 0 THEN 1 ELSE 0 END,
       CASE WHEN n % 31 = 0 AND n > 31 THEN printf('%08x-0000-4000-8000-%012x', 4, n - 7) END,
       CASE h5 % 8 WHEN 3 THEN 'webhook' WHEN 4 THEN 'webhook' WHEN 5 THEN 'schedule' WHEN 6 THEN 'schedule'
                   WHEN 7 THEN 'manual' ELSE 'event' END,
       CASE WHEN n % 5 = 0 THEN '{"pr":' || (n % 9000) || '}' END
FROM rolled ORDER BY n;

INSERT INTO execution_logs (id, execution_id, level, message, log_metadata, action_id, step_name, created_at)
SELECT printf('%08x-0000-4000-8000-%012x', 5, n * 4 + k), printf('%08x-0000-4000-8000-%012x', 4, n),
       CASE WHEN dice < 30 THEN 'CRITICAL' WHEN dice < 220 THEN 'ERROR' WHEN dice < 900 THEN 'WARNING'
            WHEN dice < 6000 THEN 'INFO' ELSE 'DEBUG' END,
       'step ' || k || ' of execution ' || n || ' says ' || dice,
       CASE WHEN n % 4 = 0 THEN '{"attempt":' || k || '}' END,
       CASE WHEN dice % 10 = 0 THEN printf('%08x-0000-4000-8000-%012x', 2, workflow * 10 + k) END,
       'step-' || k,
       strftime('%Y-%m-%d %H:%M:', at / 1000, 'unixepoch') || printf('%02d.%03d', at / 1000 % 60, at % 1000)
FROM (SELECT n, k, workflow, started_ms + k * 150 AS at,
             ((((n * 4 + k) * (2654435761 + 7 * 1000003)) % 4294967296) * 97 / 65536) % 10000 AS dice
      FROM rolled, (SELECT 0 AS k UNION ALL SELECT 1 UNION ALL SELECT 2));

INSERT INTO integrations (id, name, type, config, enabled, health_status, last_health_check, created_at, updated_at)
SELECT printf('%08x-0000-4000-8000-%012x', 6, n), type || '-main', type, '{}', n % 4 <> 0,
       CASE n % 4 WHEN 0 THEN 'healthy' WHEN 1 THEN 'degraded' WHEN 2 THEN 'unhealthy' ELSE 'unknown' END,
       '2026-06-30 00:00:00.000', '2026-03-01 00:00:00.000', '2026-03-01 00:00:00.000'
FROM (SELECT 1 AS n, 'github' AS type UNION ALL SELECT 2, 'linear' UNION ALL SELECT 3, 'slack' UNION ALL SELECT 4, 'axolo'
      UNION ALL SELECT 5, 'teams' UNION ALL SELECT 6, 'discord' UNION ALL SELECT 7, 'jira' UNION ALL SELECT 8, 'sentry'
      UNION ALL SELECT 9, 'datadog');

INSERT INTO integration_events (id, integration_id, event_type, event_id, payload, status, processed_at, error_message,
    retry_count, created_at)
SELECT printf('%08x-0000-4000-8000-%012x', 7, n), printf('%08x-0000-4000-8000-%012x', 6, 1 + h8 % 9),
       CASE h9 % 5 WHEN 0 THEN 'push' WHEN 1 THEN 'pull_request' WHEN 2 THEN 'issue_comment' WHEN 3 THEN 'review' ELSE 'deploy' END,
       'evt-' || n, '{"n":' || n || '}', status,
       CASE WHEN status IN ('completed', 'ignored') THEN strftime('%Y-%m-%d %H:%M:', (at + 2000) / 1000, 'unixepoch')
            || printf('%02d.%03d', (at + 2000) / 1000 % 60, at % 1000) END,
       CASE WHEN status = 'failed' THEN 'delivery refused' END, CASE WHEN status = 'failed' THEN 3 ELSE 0 END,
       strftime('%Y-%m-%d %H:%M:', at / 1000, 'unixepoch') || printf('%02d.%03d', at / 1000 % 60, at % 1000)
FROM (SELECT n, h8, h9, 1775001600000 + (n * 7776000000) / executions AS at,
             CASE WHEN n > executions - executions / 400 THEN CASE WHEN n % 3 = 0 THEN 'processing' ELSE 'pending' END
                  WHEN h10 < 9300 THEN 'completed' WHEN h10 < 9700 THEN 'failed' ELSE 'ignored' END AS status
      FROM dice, shape);

INSERT INTO allowed_commenters (id, github_username, github_user_id, enabled, added_by, comment_count, created_at, updated_at)
SELECT printf('%08x-0000-4000-8000-%012x', 8, n), 'dev' || n, 1000 + n, n % 10 <> 0, 'user1', n % 50,
       '2026-03-01 00:00:00.000', '2026-03-01 00:00:00.000'
FROM dice WHERE n <= 200;

INSERT INTO comment_filter_settings (id, enabled, auto_add_commenters, auto_reply_enabled, auto_reply_message, whitelist_mode,
    created_at, updated_at)
VALUES (printf('%08x-0000-4000-8000-%012x', 9, 1), 1, 0, 0, 'Thank you', 1, '2026-03-01 00:00:00.000', '2026-03-01 00:00:00.000');
DROP TABLE rolled;
DROP TABLE dice;
DROP TABLE shape;
COMMIT;
