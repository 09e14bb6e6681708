// Each probe returns one row: number, word, evidence, why unknown, is it a lower bound, objects and
// fixes (each as one text, its parts separated by a unit separator: chr(31)).
// SPDX-License-Identifier: PostgreSQL
#include "health_probes.h"

#include <algorithm>
#include <string>

#include "host_query.h"

namespace upkeep::pg {

namespace {

enum ProbeColumn { kNumber, kWord, kEvidence, kWhyUnknown, kLowerBound, kObjects, kFixes };

// Sessions whose state the caller may not see have no backend_type.
#define UPKEEP_HIDDEN "count(*) FILTER (WHERE backend_type IS NULL) > 0"
#define UPKEEP_WHY_HIDDEN                                                      \
    "format('%s sessions are hidden from you: GRANT pg_read_all_stats TO %I'," \
    "       count(*) FILTER (WHERE backend_type IS NULL), current_user)"

// What a login role gets at connect: its own value in this database, its own, the database's, the
// server's. A value set in this session hides the server's own: then the built-in default stands
// in, which can warn wrongly and never reassure. $1: setting, $2: advised value.
#define UPKEEP_PER_ROLE(setting, advised)                                                         \
    "WITH server AS (SELECT CASE WHEN source IN ('default', 'configuration file',"                \
    "      'command line', 'environment variable') THEN setting ELSE boot_val END AS value"       \
    "    FROM pg_settings WHERE name = '" setting                                                 \
    "'),"                                                                                         \
    " own AS (SELECT r.rolname, coalesce((SELECT substr(c, length('" setting                      \
    "=') + 1)"                                                                                    \
    "      FROM pg_db_role_setting s, unnest(s.setconfig) c"                                      \
    "      WHERE s.setrole IN (r.oid, 0) AND s.setdatabase IN (0, (SELECT oid FROM pg_database"   \
    "        WHERE datname = current_database())) AND starts_with(c, '" setting                   \
    "=')"                                                                                         \
    "      ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1),"                                   \
    "    (SELECT value FROM server)) AS value"                                                    \
    "  FROM pg_roles r WHERE r.rolcanlogin AND NOT r.rolsuper AND NOT r.rolreplication"           \
    "    AND NOT starts_with(r.rolname, 'pg_')),"                                                 \
    " bare AS (SELECT rolname FROM own WHERE value ~ '^0+[a-z]*$')"                               \
    "SELECT CASE WHEN (SELECT count(*) FROM own) > 0 THEN (SELECT count(*) FROM bare) END, NULL," \
    "  format('%s of %s login roles that are no superuser have none', (SELECT count(*) FROM "     \
    "bare),"                                                                                      \
    "    (SELECT count(*) FROM own)), 'there is no such role to judge by', false,"                \
    "  (SELECT string_agg(rolname, chr(31) ORDER BY rolname) FROM bare),"                         \
    "  (SELECT string_agg(format('ALTER ROLE %I SET " setting " = ''" advised                     \
    "''', rolname),"                                                                              \
    "    chr(31) ORDER BY rolname) FROM bare)"

/// A setting as the word itself.
#define UPKEEP_SETTING(setting)              \
    "SELECT NULL, current_setting('" setting \
    "'),"                                    \
    " '" setting " = ' || current_setting('" setting "'), NULL, false, NULL, NULL"

#define UPKEEP_USER_SCHEMA \
    "n.nspname NOT IN ('pg_catalog', 'information_schema', 'upkeep', 'pg_toast')"

struct Probe {
    const char* code;
    const char* sql;
};

constexpr Probe kProbes[] = {
    {"connection_headroom",
     "SELECT used / nullif(room, 0)::float8, NULL,"
     "  format('%s of %s connections that ordinary roles may have are in use (max_connections %s,"
     " reserved %s)', used, room, current_setting('max_connections'), reserved), NULL, false, NULL,"
     "  NULL"
     " FROM (SELECT reserved, current_setting('max_connections')::int - reserved AS room,"
     "    (SELECT sum(numbackends) FROM pg_stat_database) AS used"
     "  FROM (SELECT current_setting('superuser_reserved_connections')::int"
     "      + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved) r) c"},
    {"idle_in_transaction",
     "SELECT coalesce(max(extract(epoch FROM now() - state_change)) FILTER (WHERE open), 0), NULL,"
     "  format('%s sessions are idle in a transaction', count(*) FILTER (WHERE open)),"
     "  " UPKEEP_WHY_HIDDEN ", " UPKEEP_HIDDEN ","
     "  string_agg(format('pid %s (%s, %s)', pid, usename, application_name), chr(31)"
     "    ORDER BY state_change) FILTER (WHERE open),"
     "  string_agg(DISTINCT format('ALTER ROLE %I SET idle_in_transaction_session_timeout ="
     " ''60s''', usename), chr(31)) FILTER (WHERE open)"
     " FROM (SELECT *, starts_with(state, 'idle in transaction') AS open FROM pg_stat_activity"
     "  WHERE pid <> pg_backend_pid()) a"},
    {"prepared_transactions",
     "SELECT coalesce(max(extract(epoch FROM now() - prepared)), 0), NULL,"
     "  format('%s prepared transactions', count(*)), NULL, false,"
     "  string_agg(format('%s of %s in %s', quote_literal(gid), owner, database), chr(31)"
     "    ORDER BY prepared),"
     "  NULL"
     " FROM pg_prepared_xacts"},
    {"reap_rules",
     "SELECT count(*) FILTER (WHERE is_for_nobody), NULL,"
     "  format('%s rules are enabled, upkeep.reaper is %s%s', count(*),"
     "    current_setting('upkeep.reaper'), CASE WHEN count(*) > 0 AND"
     "    NOT current_setting('upkeep.reaper')::bool THEN ': nothing applies them' ELSE '' END),"
     "  NULL, false,"
     "  string_agg(format('%s: no %s is like %L', name, CASE WHEN has_role THEN 'database'"
     "    ELSE 'role' END, CASE WHEN has_role THEN match_database ELSE match_user END), chr(31)"
     "    ORDER BY name) FILTER (WHERE is_for_nobody),"
     "  string_agg(format('UPDATE upkeep.reap_rules SET enabled = false WHERE name = %L', name),"
     "    chr(31) ORDER BY name) FILTER (WHERE is_for_nobody)"
     " FROM (SELECT *, NOT (has_role AND EXISTS (SELECT FROM pg_database"
     "    WHERE datname::text LIKE match_database)) AS is_for_nobody"
     "   FROM (SELECT *, EXISTS (SELECT FROM pg_roles WHERE rolcanlogin"
     "     AND rolname::text LIKE match_user) AS has_role"
     "    FROM upkeep.reap_rules WHERE enabled) r) r"},
    {"pool_recycle",
     "SELECT NULL, NULL, format('%s client sessions, the oldest open for %s', count(*),"
     "  coalesce(date_trunc('second', max(now() - backend_start))::text, 'no time')), NULL, false,"
     "  NULL, NULL"
     " FROM pg_stat_activity WHERE backend_type = 'client backend'"},
    {"slow_statement_log",
     "SELECT NULL, CASE WHEN every_one >= 0 OR sampled >= 0 AND rate > 0 OR explained >= 0"
     "    THEN 'on' ELSE 'off' END,"
     "  format('log_min_duration_statement = %s, log_min_duration_sample = %s at a rate of %s',"
     "    every_one, sampled, rate)"
     "  || coalesce(', auto_explain.log_min_duration = ' || explained, ''), NULL, false, NULL, NULL"
     " FROM (SELECT max(setting::float8) FILTER (WHERE name = 'log_min_duration_statement')"
     "      AS every_one,"
     "    max(setting::float8) FILTER (WHERE name = 'log_min_duration_sample') AS sampled,"
     "    max(setting::float8) FILTER (WHERE name = 'log_statement_sample_rate') AS rate,"
     "    max(setting::float8) FILTER (WHERE name = 'auto_explain.log_min_duration') AS explained"
     "  FROM pg_settings) s"},
    {"statement_statistics",
     "SELECT NULL, CASE WHEN ours THEN 'upkeep' WHEN there AND running THEN 'pg_stat_statements'"
     "    ELSE 'none' END,"
     "  CASE WHEN ours THEN 'upkeep captures statements'"
     "    WHEN there AND running THEN 'pg_stat_statements is installed and running'"
     "    WHEN there THEN 'pg_stat_statements is installed and not preloaded'"
     "    WHEN running THEN 'pg_stat_statements is preloaded and not installed in this database'"
     "    ELSE 'neither upkeep nor pg_stat_statements is preloaded' END, NULL, false, NULL,"
     "  CASE WHEN running AND NOT there THEN 'CREATE EXTENSION pg_stat_statements' END"
     " FROM (SELECT current_setting('upkeep.max_statements', true) IS NOT NULL AS ours,"
     "    current_setting('pg_stat_statements.max', true) IS NOT NULL AS running,"
     "    EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements') AS there) s"},
    {"log_line_prefix",
     "SELECT NULL, CASE WHEN p LIKE '%\\%u%' AND p LIKE '%\\%d%' AND p LIKE '%\\%a%'"
     "    AND p LIKE '%\\%Q%' THEN 'complete' ELSE 'short' END,"
     "  'log_line_prefix = ' || quote_literal(p), NULL, false, NULL, NULL"
     " FROM (SELECT current_setting('log_line_prefix') AS p) s"},
    {"log_statement", UPKEEP_SETTING("log_statement")},
    {"track_io_timing", UPKEEP_SETTING("track_io_timing")},
    {"library_preloaded",
     "SELECT NULL, CASE WHEN list ~ '(^|[/,\" ])upkeep(\\.so)?([,\" ]|$)' THEN 'named'"
     "    ELSE 'missing' END, 'shared_preload_libraries = ' || quote_literal(list), NULL, false,"
     "  NULL, 'ALTER SYSTEM SET shared_preload_libraries = ' || coalesce((SELECT string_agg("
     "      quote_literal(trim(both '\" ' FROM part)), ', ')"
     "    FROM regexp_split_to_table(list, ',') part WHERE trim(part) <> '') || ', ', '')"
     "    || '''upkeep'''"
     " FROM (SELECT current_setting('shared_preload_libraries') AS list) s"},
    {"database_size",
     "SELECT NULL, NULL, format('%s is %s', current_database(),"
     "  pg_size_pretty(pg_database_size(current_database()))), NULL, false, NULL, NULL"},
    {"statement_timeout", UPKEEP_PER_ROLE("statement_timeout", "30s")},
    {"lock_timeout", UPKEEP_PER_ROLE("lock_timeout", "5s")},
    {"idle_in_transaction_timeout", UPKEEP_PER_ROLE("idle_in_transaction_session_timeout", "60s")},
    {"global_statement_timeout",
     "SELECT NULL, CASE WHEN source NOT IN ('default', 'configuration file', 'command line',"
     "      'environment variable') THEN NULL WHEN setting::int = 0 THEN 'off' ELSE 'set' END,"
     "  format('statement_timeout = %s ms by %s', setting, source),"
     "  'this session or role has a value of its own, which hides the server''s', false, NULL, NULL"
     " FROM pg_settings WHERE name = 'statement_timeout'"},
    {"autovacuum",
     "SELECT NULL, CASE WHEN is_off THEN 'off' WHEN tables IS NULL THEN 'on' ELSE 'partly' END,"
     "  format('autovacuum = %s, track_counts = %s, %s tables with it off',"
     "    current_setting('autovacuum'), current_setting('track_counts'),"
     "    coalesce(cardinality(tables), 0)), NULL, false, array_to_string(tables, chr(31)),"
     "  CASE WHEN NOT is_off THEN (SELECT string_agg(format('ALTER TABLE %s RESET"
     " (autovacuum_enabled)', t), chr(31)) FROM unnest(tables) t) END"
     " FROM (SELECT 'off' IN (current_setting('autovacuum'), current_setting('track_counts'))"
     "      AS is_off,"
     "    (SELECT array_agg(format('%I.%I', n.nspname, c.relname) ORDER BY 1) FROM pg_class c"
     "      JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm') AND EXISTS"
     "        (SELECT FROM pg_options_to_table(c.reloptions) WHERE option_name ="
     "          'autovacuum_enabled' AND NOT option_value::bool)) AS tables) s"},
    {"crash_safety",
     "SELECT NULL, CASE WHEN current_setting('fsync') = 'on' AND"
     "    current_setting('full_page_writes') = 'on' THEN 'on' ELSE 'off' END,"
     "  format('fsync = %s, full_page_writes = %s', current_setting('fsync'),"
     "    current_setting('full_page_writes')), NULL, false, NULL, NULL"},
    {"foreign_keys_enforced",
     "SELECT count(*) FILTER (WHERE fix IS NOT NULL), NULL, format('%s of %s foreign keys are NOT"
     " VALID or have their triggers off', count(*) FILTER (WHERE fix IS NOT NULL), count(*)), NULL,"
     "  false, string_agg(format('%I on %s', conname, t), chr(31) ORDER BY t, conname)"
     "    FILTER (WHERE fix IS NOT NULL), string_agg(fix, chr(31) ORDER BY t, conname)"
     " FROM (SELECT f.conname, t, CASE"
     "     WHEN EXISTS (SELECT FROM pg_trigger g WHERE g.tgconstraint = f.oid AND g.tgenabled = "
     "'D')"
     "       THEN format('ALTER TABLE %s ENABLE TRIGGER ALL', t)"
     "     WHEN NOT f.convalidated"
     "       THEN format('ALTER TABLE %s VALIDATE CONSTRAINT %I', t, f.conname) END AS fix"
     "  FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid"
     "   JOIN pg_namespace n ON n.oid = c.relnamespace, format('%I.%I', n.nspname, c.relname) t"
     "  WHERE f.contype = 'f' AND f.conparentid = 0) f"},
    {"wraparound",
     "SELECT max(used), NULL, format('%s is oldest: age %s of xids, %s of multixacts, autovacuum"
     " freezes from %s', (array_agg(datname ORDER BY used DESC))[1], max(xids), max(multis),"
     "    current_setting('autovacuum_freeze_max_age')), NULL, false, NULL, NULL"
     " FROM (SELECT datname, age(datfrozenxid) AS xids, mxid_age(datminmxid) AS multis,"
     "    greatest(age(datfrozenxid), mxid_age(datminmxid)) / 2147483648.0 AS used"
     "  FROM pg_database) d"},
    {"dead_rows",
     "SELECT count(*) FILTER (WHERE bad), NULL, format('%s of %s tables have more than 10000 dead"
     " rows and one for each five live ones', count(*) FILTER (WHERE bad), count(*)), NULL, false,"
     "  string_agg(format('%s (%s dead, %s live)', t, n_dead_tup, n_live_tup), chr(31)"
     "    ORDER BY n_dead_tup DESC) FILTER (WHERE bad),"
     "  string_agg('VACUUM (ANALYZE) ' || t, chr(31) ORDER BY n_dead_tup DESC) FILTER (WHERE bad)"
     " FROM (SELECT *, n_dead_tup > 10000 AND n_dead_tup > 0.2 * n_live_tup AS bad,"
     "    format('%I.%I', schemaname, relname) AS t FROM pg_stat_user_tables) s"},
    {"sequences_near_end",
     "SELECT coalesce(max(used), 0), NULL, format('%s sequences', count(*)),"
     "  format('%s sequences are hidden from you: USAGE or SELECT on them is missing',"
     "    count(*) FILTER (WHERE hidden)), count(*) FILTER (WHERE hidden) > 0,"
     "  string_agg(format('%s (%s %%)', s, round((used * 100)::numeric, 1)), chr(31)"
     "    ORDER BY used DESC) FILTER (WHERE used >= 0.7), NULL"
     " FROM (SELECT s, hidden, CASE WHEN NOT q.seqcycle THEN CASE WHEN q.seqincrement > 0"
     "      THEN (at - q.seqmin::float8) / nullif(least(q.seqmax, CASE width WHEN 2 THEN 32767"
     "        WHEN 4 THEN 2147483647 ELSE q.seqmax END)::float8 - q.seqmin, 0)"
     "      ELSE (q.seqmax::float8 - at) / nullif(q.seqmax::float8 - q.seqmin, 0) END END AS used"
     "  FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid"
     "   JOIN pg_namespace n ON n.oid = c.relnamespace"
     "   LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = q.seqrelid"
     "    AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')"
     "   LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid,"
     "   LATERAL (SELECT format('%I.%I', n.nspname, c.relname) AS s, a.attlen AS width,"
     "     NOT has_sequence_privilege(q.seqrelid, 'SELECT,USAGE') AS hidden) x,"
     "   LATERAL (SELECT CASE WHEN NOT hidden THEN pg_sequence_last_value(q.seqrelid) END AS at) y"
     "  WHERE NOT pg_is_other_temp_schema(n.oid)) s"},
    {"replication_slots",
     "SELECT coalesce(max(kept), 0), NULL, format('%s slots, %s of them inactive', count(*),"
     "    count(*) FILTER (WHERE NOT active)), NULL, false,"
     "  string_agg(format('%s keeps %s%s', quote_ident(slot_name), pg_size_pretty(kept),"
     "    CASE WHEN active THEN '' ELSE ', inactive' END), chr(31) ORDER BY kept DESC NULLS LAST),"
     "  NULL"
     " FROM (SELECT slot_name, active, pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery()"
     "      THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, restart_lsn) AS kept"
     "  FROM pg_replication_slots) s"},
    {"not_valid_constraints",
     "SELECT count(*), NULL, format('%s check constraints are NOT VALID', count(*)), NULL, false,"
     "  string_agg(format('%I on %s', conname, t), chr(31) ORDER BY t, conname),"
     "  string_agg(format('ALTER TABLE %s VALIDATE CONSTRAINT %I', t, conname), chr(31)"
     "    ORDER BY t, conname)"
     " FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
     "  JOIN pg_namespace n ON n.oid = c.relnamespace, format('%I.%I', n.nspname, c.relname) t"
     " WHERE k.contype = 'c' AND NOT k.convalidated"},
    {"unlogged_tables",
     "SELECT count(*), NULL, format('%s unlogged tables', count(*)), NULL, false,"
     "  string_agg(t, chr(31) ORDER BY t),"
     "  string_agg(format('ALTER TABLE %s SET LOGGED', t), chr(31) ORDER BY t)"
     " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,"
     "  format('%I.%I', n.nspname, c.relname) t"
     " WHERE c.relkind = 'r' AND c.relpersistence = 'u' AND " UPKEEP_USER_SCHEMA},
    {"data_checksums", UPKEEP_SETTING("data_checksums")},
    {"wal_archiving",
     "SELECT NULL, CASE WHEN mode = 'off' THEN 'off'"
     "    WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN 'failing'"
     "    WHEN archived_count > 0 THEN 'working' END,"
     "  format('archive_mode = %s, %s segments archived (last at %s), %s failures (last at %s)',"
     "    mode, archived_count, coalesce(last_archived_time::text, 'never'), failed_count,"
     "    coalesce(last_failed_time::text, 'never')), 'no segment has been archived yet', false,"
     "  NULL, NULL"
     " FROM pg_stat_archiver, current_setting('archive_mode') mode"},
    {"point_in_time_recovery",
     "SELECT NULL, CASE WHEN mode = 'off' AND receivers = 0 THEN 'no' END,"
     "  format('archive_mode = %s, %s receivers of WAL', mode, receivers),"
     "  'no physical base backup is recorded here', false, NULL, NULL"
     " FROM current_setting('archive_mode') mode,"
     "  (SELECT count(*) AS receivers FROM pg_stat_replication) r"},
    {"superuser_sessions",
     "SELECT count(*), NULL, format('%s sessions of superusers beside administration tools and your"
     " own', count(*)), NULL, false, string_agg(format('pid %s (%s, %s)', pid, usename,"
     "    coalesce(nullif(application_name, ''), 'no application name')), chr(31) ORDER BY pid), "
     "NULL"
     " FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid"
     " WHERE r.rolsuper AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
     "  AND application_name NOT IN ('psql', 'pg_dump', 'pg_dumpall', 'pg_restore',"
     "    'pg_basebackup', 'pg_receivewal')"},
    {"password_encryption", UPKEEP_SETTING("password_encryption")},
};

std::vector<std::string> Parts(const HostRows& rows, ProbeColumn column) {
    std::vector<std::string> parts;
    if (rows.IsNull(0, column)) {
        return parts;
    }
    const std::string text = rows.Text(0, column);
    size_t begin = 0;
    while (begin <= text.size()) {
        const size_t end = std::min(text.find('\x1f', begin), text.size());
        parts.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

health::Observation Run(const Probe& probe) {
    health::Observation seen;
    seen.code = probe.code;
    const Result<HostRows> result = TryQuery(probe.sql);
    if (!result.ok()) {
        seen.unknown_because = "the server refused to tell: " + result.error().message();
        return seen;
    }
    const HostRows& rows = result.value();
    if (rows.rows == 0) {
        return seen;
    }
    seen.number = rows.Number(0, kNumber);
    seen.word = rows.Text(0, kWord);
    seen.evidence = rows.Text(0, kEvidence);
    seen.unknown_because = rows.Text(0, kWhyUnknown);
    seen.is_lower_bound = rows.Bool(0, kLowerBound);
    seen.objects = Parts(rows, kObjects);
    seen.fixes = Parts(rows, kFixes);
    return seen;
}

}  // namespace

std::vector<health::Observation> ProbeHealth() {
    LookAfresh();
    std::vector<health::Observation> seen;
    for (const Probe& probe : kProbes) {
        seen.push_back(Run(probe));
    }
    return seen;
}

}  // namespace upkeep::pg
