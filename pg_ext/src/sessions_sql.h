// The queries behind sessions.cpp. Names need no schema: the calls that run them have
// `SET search_path = pg_catalog, pg_temp`, and pg_catalog comes first.
// SPDX-License-Identifier: PostgreSQL
#pragma once

namespace upkeep::pg {

// Columns of kSessionsQuery, in order.
enum SessionColumn {
    kPid,
    kLeaderPid,
    kDatabase,
    kUser,
    kApplication,
    kAddress,
    kBackendType,
    kState,
    kWaitEvent,
    kQuery,
    kVisible,
    kIsSuperuser,
    kHoldsXmin,
    kRefusal,
    kStarted,
    kStateChange,
    kXactStart,
    kQueryStart,
    kBlockedBy,
    kWaitsSince,
    kLockMode,
    kLockTarget,
    kProgress,
};

// Sessions with a database, and replication. A waiter on a transaction's end has the tuple's lock
// already: that names the table. Locks are read once, so that all rows show the same moment.
// Source: the manual, "pg_locks", "pg_stat_activity", "Progress Reporting"; signalling rights as in
// pg_signal_backend() of the server.
inline constexpr const char* kSessionsQuery = R"(
WITH locks AS MATERIALIZED (SELECT * FROM pg_locks),
waiting AS MATERIALIZED (
    SELECT DISTINCT ON (l.pid) l.pid, l.mode, l.waitstart,
        CASE WHEN c.oid IS NOT NULL THEN format('%I.%I', n.nspname, c.relname)
             WHEN l.relation IS NOT NULL THEN '(relation ' || l.relation || ' of another database)'
             ELSE '(' || l.locktype || ')' END AS target
    FROM locks l
    LEFT JOIN LATERAL (
        SELECT t.relation, t.database FROM locks t
        WHERE t.pid = l.pid AND t.granted AND t.locktype = 'tuple' AND l.locktype = 'transactionid'
        LIMIT 1) held ON true
    LEFT JOIN pg_class c ON c.oid = coalesce(l.relation, held.relation)
        AND coalesce(l.database, held.database) IN
            (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT l.granted AND l.pid IS NOT NULL
    ORDER BY l.pid, l.waitstart),
me AS (SELECT rolsuper, pg_has_role('pg_signal_backend', 'USAGE') AS may_signal
       FROM pg_roles WHERE rolname = current_user),
progress AS (
    SELECT pid, 'vacuum: ' || phase AS what, heap_blks_scanned AS done, heap_blks_total AS total
    FROM pg_stat_progress_vacuum
    UNION ALL SELECT pid, 'analyze: ' || phase, sample_blks_scanned, sample_blks_total
    FROM pg_stat_progress_analyze
    UNION ALL SELECT pid, lower(command) || ': ' || phase,
        CASE WHEN blocks_total > 0 THEN blocks_done ELSE tuples_done END,
        CASE WHEN blocks_total > 0 THEN blocks_total ELSE tuples_total END
    FROM pg_stat_progress_create_index
    UNION ALL SELECT pid, lower(command) || ': ' || phase, heap_blks_scanned, heap_blks_total
    FROM pg_stat_progress_cluster
    UNION ALL SELECT pid, lower(command) || ': ' || tuples_processed || ' rows', bytes_processed,
        bytes_total
    FROM pg_stat_progress_copy),
prepared AS (
    SELECT string_agg(DISTINCT x.gid, ', ') AS names, min(x.prepared) AS since,
        min(x.database) AS datname, min(x.owner) AS usename
    FROM locks w
    JOIN locks h ON h.pid IS NULL AND h.granted AND h.locktype = w.locktype
        AND (h.database, h.relation, h.page, h.tuple, h.transactionid, h.classid, h.objid,
             h.objsubid) IS NOT DISTINCT FROM
            (w.database, w.relation, w.page, w.tuple, w.transactionid, w.classid, w.objid,
             w.objsubid)
    JOIN locks own ON own.pid IS NULL AND own.granted AND own.locktype = 'transactionid'
        AND own.virtualtransaction = h.virtualtransaction
    JOIN pg_prepared_xacts x ON x.transaction = own.transactionid
    WHERE NOT w.granted)
SELECT a.pid, a.leader_pid, a.datname, a.usename, a.application_name, host(a.client_addr),
    a.backend_type, a.state, a.wait_event, a.query, a.backend_type IS NOT NULL,
    coalesce(r.rolsuper, false),
    CASE WHEN a.backend_type IS NOT NULL
         THEN a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL END,
    CASE WHEN me.rolsuper THEN NULL
         WHEN r.rolsuper OR a.usesysid IS NULL THEN 'only a superuser may end a superuser''s session'
         WHEN NOT me.may_signal AND NOT coalesce(pg_has_role(r.oid, 'USAGE'), false)
         THEN 'you are neither a member of its role nor of pg_signal_backend' END,
    (extract(epoch FROM a.backend_start) * 1000000)::bigint,
    (extract(epoch FROM a.state_change) * 1000000)::bigint,
    (extract(epoch FROM a.xact_start) * 1000000)::bigint,
    (extract(epoch FROM a.query_start) * 1000000)::bigint,
    CASE WHEN w.pid IS NOT NULL THEN array_to_string(pg_blocking_pids(a.pid), ',') END,
    (extract(epoch FROM w.waitstart) * 1000000)::bigint, w.mode, w.target,
    p.what || CASE WHEN p.total > 0 THEN format(' %s %%', 100 * p.done / p.total) ELSE '' END
FROM pg_stat_activity a
CROSS JOIN me
LEFT JOIN pg_roles r ON r.oid = a.usesysid
LEFT JOIN waiting w ON w.pid = a.pid
LEFT JOIN progress p ON p.pid = a.pid
WHERE a.datid IS NOT NULL OR a.backend_type = 'walsender'
UNION ALL
SELECT 0, NULL, datname, usename, '', NULL, 'prepared transaction', 'prepared', NULL, names, true,
    false, true, 'a prepared transaction: COMMIT PREPARED or ROLLBACK PREPARED ends it', NULL,
    (extract(epoch FROM since) * 1000000)::bigint, (extract(epoch FROM since) * 1000000)::bigint,
    NULL, NULL, NULL, NULL, NULL, NULL
FROM prepared WHERE names IS NOT NULL
ORDER BY 1)";

// Columns of kLimitsQuery, in order.
enum LimitColumn {
    kMaxConnections,
    kSuperuserReserved,
    kReserved,
    kUsed,
    kRoleLimit,
    kRoleUsed,
    kDatabaseLimit,
    kDatabaseUsed,
    kCallerIsSuperuser,
    kIdleTimeoutMs,
};

// A hidden session's kind is hidden too: with a user it is counted as a client's.
inline constexpr const char* kLimitsQuery = R"(
SELECT current_setting('max_connections')::int,
    current_setting('superuser_reserved_connections')::int,
    coalesce(current_setting('reserved_connections', true)::int, 0),
    count(a.pid), nullif(r.rolconnlimit, -1), count(a.pid) FILTER (WHERE a.usesysid = r.oid),
    nullif(d.datconnlimit, -1), count(a.pid) FILTER (WHERE a.datid = d.oid), r.rolsuper,
    (SELECT setting::bigint FROM pg_settings WHERE name = 'idle_session_timeout')
FROM pg_roles r
JOIN pg_database d ON d.datname = current_database()
LEFT JOIN pg_stat_activity a ON a.backend_type = 'client backend'
    OR (a.backend_type IS NULL AND a.usesysid IS NOT NULL)
WHERE r.rolname = current_user
GROUP BY r.oid, r.rolconnlimit, r.rolsuper, d.oid, d.datconnlimit)";

}  // namespace upkeep::pg
