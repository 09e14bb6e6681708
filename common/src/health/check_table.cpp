// The checks as data: limits, rules and advice. Judged in checks.cpp.
// Limits are first values of our own, marked where they come from somewhere.
// SPDX-License-Identifier: PostgreSQL
#include <limits>

#include "upkeep/health/checks.h"

namespace upkeep::health {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kGiB = 1024.0 * 1024 * 1024;
constexpr Hosts kBoth = Hosts::kBoth;
constexpr Hosts kPg = Hosts::kPostgres;
constexpr Hosts kSl = Hosts::kSqlite;

constexpr std::string_view kNoBackup = "nothing in this database tells of a backup";
constexpr std::string_view kOutside = "it cannot be seen from inside the database";

constexpr Check kChecks[] = {
    // --- connections
    {{"connections", "connection_headroom", kPg, Rule::kAtMost,
      "connections in use against what ordinary roles may have",
      "find who holds them and for how long before raising max_connections; add up pool sizes over "
      "all processes, or put a pooler in front"},
     {.warn = 0.8, .fail = 0.95, .unit = Unit::kRatio}},
    {{"connections", "connection_headroom", kSl, Rule::kManual, "connection limits fit the load",
      "keep write transactions short and give every connection a busy_timeout"},
     {.blind = "SQLite has no limit of connections; one of them writes at a time"}},
    {{"connections", "idle_in_transaction", kPg, Rule::kAtMost,
      "oldest session idle in a transaction",
      "it holds its locks and keeps VACUUM from cleaning: end the transaction in the application, "
      "or set idle_in_transaction_session_timeout for its role"},
     {.warn = 60, .fail = 600, .unit = Unit::kSeconds}},
    {{"connections", "prepared_transactions", kPg, Rule::kAtMost, "oldest prepared transaction",
      "a forgotten one holds locks and the xid horizon for ever: COMMIT PREPARED or ROLLBACK "
      "PREPARED it"},
     {.warn = 300, .fail = 3600, .unit = Unit::kSeconds}},
    {{"connections", "reap_rules", kPg, Rule::kAtMost, "rules of the reaper that match nobody",
      "the role or database is gone, or the pattern is wrong: UPDATE or DELETE the rule"},
     {.warn = 1, .fail = kNever}},
    {{"connections", "busy_timeout", kSl, Rule::kAtLeast,
      "how long this connection waits for another one's lock",
      "set it on every connection: without it a busy database is an error at once"},
     {.warn = 1000,
      .fail = -kNever,
      .unit = Unit::kMilliseconds,
      .fix = "PRAGMA busy_timeout = 5000"}},
    {{"connections", "pool_size", kBoth, Rule::kManual, "pool size and overflow are set",
      "each process has a pool of its own: processes x (pool_size + max_overflow) has to fit; "
      "requests that wait: see who holds connections before making pools larger"},
     {.good = "fits",
      .bad = "exceeds",
      .blind = "no pool has reported to this database, so it cannot be seen from inside"}},
    {{"connections", "pool_pre_ping", kBoth, Rule::kManual, "pools test a connection at checkout",
      "turn pre-ping on: one round trip at each checkout instead of a failed statement"},
     {.blind = kOutside}},
    {{"connections", "pool_recycle", kBoth, Rule::kManual, "pools renew their connections",
      "recycle below the shortest idle timeout on the path; it only acts at checkout"},
     {.blind = kOutside}},
    {{"connections", "pool_metrics", kBoth, Rule::kEvidence, "pools publish their numbers",
      "let each process report size, checked out, overflow and waiting"},
     {.good = "reported", .blind = "no pool has reported to this database"}},

    // --- indexes
    {{"indexes", "unindexed_foreign_keys", kBoth, Rule::kAtMost,
      "foreign keys that no index serves",
      "deleting or updating a parent reads the whole child table: see unindexed_foreign_keys"},
     {.warn = 1, .fail = kNever}},
    {{"indexes", "redundant_indexes", kBoth, Rule::kAtMost, "indexes that another one covers",
      "each is written with every row and answers nothing of its own: see index_findings"},
     {.warn = 1, .fail = kNever}},
    {{"indexes", "invalid_indexes", kPg, Rule::kAtMost, "indexes left invalid",
      "drop and create again; until then they cost writes and serve no query"},
     {.warn = 1, .fail = kNever}},
    {{"indexes", "unused_indexes", kBoth, Rule::kAtMost, "indexes without a scan",
      "candidates only: look at standbys and rare jobs first, see index_findings"},
     {.warn = 1,
      .fail = kNever,
      .blind = "SQLite does not count the use of indexes, and too little was captured"}},
    {{"indexes", "stale_statistics", kBoth, Rule::kAtMost,
      "tables without current planner statistics", "run ANALYZE: the planner guesses"},
     {.warn = 1, .fail = kNever}},

    // --- statements
    {{"statements", "slow_statement_log", kPg, Rule::kWord, "slow statements are recorded",
      "log what takes longer than a second, without bind values"},
     {.good = "on",
      .fix = "ALTER SYSTEM SET log_min_duration_statement = '1s'\n"
             "ALTER SYSTEM SET log_parameter_max_length = 0\n"
             "SELECT pg_reload_conf()"}},
    {{"statements", "slow_statement_log", kSl, Rule::kEvidence, "slow statements are recorded",
      "measure statements in the application"},
     {.good = "on", .blind = "statements are not captured here"}},
    {{"statements", "statement_statistics", kPg, Rule::kWord, "statement times are tracked",
      "put a statement statistics library into shared_preload_libraries"},
     {.good = "upkeep|pg_stat_statements"}},
    {{"statements", "statement_statistics", kSl, Rule::kEvidence, "statement times are tracked",
      "measure statements in the application"},
     {.good = "upkeep", .blind = "statements are not captured here"}},
    {{"statements", "plans_reviewed", kBoth, Rule::kManual,
      "plans of frequent statements are reviewed",
      "plan the statements with the most total time: what_if, advise_indexes"},
     {.blind = "whether a person looked cannot be seen"}},
    {{"statements", "n_plus_one", kBoth, Rule::kEvidence, "no N+1 reads",
      "read the children of all parents in one statement"},
     {.blind = "sequences of statements are not captured here"}},
    {{"statements", "statement_echo", kBoth, Rule::kManual,
      "the application does not echo its statements", "set DB_ECHO off in production"},
     {.blind = kOutside}},

    // --- monitoring
    {{"monitoring", "log_line_prefix", kPg, Rule::kWord,
      "log lines name user, database, application and query id",
      "without them a log line cannot be joined with sessions and statistics"},
     {.good = "complete",
      .fix = "ALTER SYSTEM SET log_line_prefix = '%m [%p] %q%u@%d/%a %Q '\n"
             "SELECT pg_reload_conf()"}},
    {{"monitoring", "log_statement", kPg, Rule::kWord, "the log is not flooded with statements",
      "log slow statements instead of all: volume, and literals in the log"},
     {.good = "none|ddl",
      .fix = "ALTER SYSTEM SET log_statement = 'none'\nSELECT pg_reload_conf()"}},
    {{"monitoring", "track_io_timing", kPg, Rule::kWord, "time spent in I/O is measured",
      "turn it on; pg_test_timing shows what it costs on this machine"},
     {.good = "on", .fix = "ALTER SYSTEM SET track_io_timing = on\nSELECT pg_reload_conf()"}},
    {{"monitoring", "library_preloaded", kPg, Rule::kWord, "upkeep is preloaded",
      "add it to shared_preload_libraries, keep what is there, and restart: only then statements "
      "of "
      "all sessions are captured"},
     {.good = "named"}},
    {{"monitoring", "database_size", kBoth, Rule::kManual, "the size of the database is watched",
      "record it and alert on growth: database_stats, table_sizes"},
     {.blind = "whether anybody records it cannot be seen"}},
    {{"monitoring", "alert_thresholds", kBoth, Rule::kManual, "alert thresholds are set",
      "alert on status fail of check_health and on the age of the last backup"},
     {.blind = kOutside}},

    // --- settings
    {{"settings", "statement_timeout", kPg, Rule::kAtMost,
      "application roles without statement_timeout",
      "set it for each role, not for the server: dumps and index builds take long"},
     {.warn = 1, .fail = kNever}},
    {{"settings", "statement_timeout", kSl, Rule::kManual, "statements end after a time limit",
      "let the application interrupt long statements (sqlite3_interrupt, progress handler)"},
     {.blind = "SQLite has no such setting"}},
    {{"settings", "global_statement_timeout", kPg, Rule::kWord,
      "statement_timeout does not hit dumps and index builds",
      "move it from the server's configuration to the application's roles"},
     {.good = "off", .fix = "ALTER SYSTEM SET statement_timeout = 0\nSELECT pg_reload_conf()"}},
    {{"settings", "lock_timeout", kPg, Rule::kAtMost, "application roles without lock_timeout",
      "set it for each role: a statement that waits for a lock makes others wait behind it"},
     {.warn = 1, .fail = kNever}},
    {{"settings", "idle_in_transaction_timeout", kPg, Rule::kAtMost,
      "application roles without idle_in_transaction_session_timeout",
      "set it for each role: forgotten transactions then end by themselves"},
     {.warn = 1, .fail = kNever}},
    {{"settings", "autovacuum", kPg, Rule::kWord, "autovacuum runs",
      "turn it on, with track_counts: scheduled VACUUM does not replace it"},
     {.good = "on",
      .bad = "off",
      .fix = "ALTER SYSTEM SET autovacuum = on\nALTER SYSTEM SET track_counts = on\n"
             "SELECT pg_reload_conf()"}},
    {{"settings", "crash_safety", kPg, Rule::kWord, "committed data survives a crash",
      "without fsync or full_page_writes a power failure can ruin the whole cluster"},
     {.good = "on",
      .bad = "off",
      .fix = "ALTER SYSTEM SET fsync = on\nALTER SYSTEM SET full_page_writes = on\n"
             "SELECT pg_reload_conf()"}},
    {{"settings", "journal_mode", kSl, Rule::kWord, "readers do not block the writer",
      "use the write-ahead log; off and memory can ruin the file in a crash"},
     {.good = "wal|in memory", .bad = "off|memory", .fix = "PRAGMA journal_mode = WAL"}},
    {{"settings", "synchronous", kSl, Rule::kWord, "committed data survives a crash",
      "NORMAL is enough with WAL, FULL without; OFF can ruin the file in a power failure"},
     {.good = "full|extra|normal with wal|in memory",
      .bad = "off",
      .fix = "PRAGMA synchronous = FULL"}},
    {{"settings", "foreign_keys_enforced", kPg, Rule::kAtMost, "foreign keys are enforced",
      "validate the constraints and enable their triggers again"},
     {.warn = 1, .fail = kNever}},
    {{"settings", "foreign_keys_enforced", kSl, Rule::kWord, "foreign keys are enforced",
      "it is off by default and set for each connection: turn it on right after opening"},
     {.good = "on|none declared", .bad = "off", .fix = "PRAGMA foreign_keys = ON"}},
    {{"settings", "wal_autocheckpoint", kSl, Rule::kAtLeast,
      "pages after which the WAL is checkpointed",
      "0 turns it off: the WAL grows until somebody runs PRAGMA wal_checkpoint"},
     {.warn = 1, .fail = -kNever, .fix = "PRAGMA wal_autocheckpoint = 1000"}},
    {{"settings", "page_size", kSl, Rule::kAtLeast, "page size",
      "small pages make deep trees; a change needs VACUUM outside of WAL mode"},
     {.warn = 4096, .fail = -kNever, .unit = Unit::kBytes}},

    // --- storage
    {{"storage", "wraparound", kPg, Rule::kAtMost, "transaction ids used before a forced stop",
      "let VACUUM freeze: look for what holds the horizon (old transactions, slots), then VACUUM "
      "the oldest database"},
     {.warn = 0.25, .fail = 0.75, .unit = Unit::kRatio}},
    {{"storage", "dead_rows", kPg, Rule::kAtMost, "tables with many dead rows",
      "see what keeps autovacuum away: long transactions, or its scale factor for large tables"},
     {.warn = 1, .fail = kNever}},
    {{"storage", "sequences_near_end", kBoth, Rule::kAtMost, "share of a sequence that is used up",
      "widen column and sequence to bigint before it ends: then every INSERT fails"},
     {.warn = 0.7, .fail = 0.9, .unit = Unit::kRatio}},
    {{"storage", "replication_slots", kPg, Rule::kAtMost, "WAL kept by a replication slot",
      "an abandoned slot fills the disk: drop it, or set max_slot_wal_keep_size"},
     {.warn = kGiB, .fail = 16 * kGiB, .unit = Unit::kBytes}},
    {{"storage", "not_valid_constraints", kPg, Rule::kAtMost, "constraints left NOT VALID",
      "validate them: old rows are unchecked and the planner cannot use the rule"},
     {.warn = 1, .fail = kNever}},
    {{"storage", "unlogged_tables", kPg, Rule::kAtMost, "unlogged tables",
      "they are empty after a crash and on standbys; SET LOGGED rewrites the table"},
     {.warn = 1, .fail = kNever}},
    {{"storage", "data_checksums", kPg, Rule::kWord, "data pages have checksums",
      "stop the server and run pg_checksums --enable; without them bad disks go unseen"},
     {.good = "on"}},
    {{"storage", "foreign_key_violations", kSl, Rule::kAtMost, "rows that violate a foreign key",
      "mend or delete them; they came in over connections with foreign_keys off"},
     {.warn = 1, .fail = 1}},
    {{"storage", "integrity", kSl, Rule::kManual, "the file is intact",
      "run PRAGMA quick_check in a quiet hour, or check a copy"},
     {.blind = "the check reads the whole file, so it is not run here"}},
    {{"storage", "freelist", kSl, Rule::kAtMost, "share of the file that is free",
      "VACUUM gives it back (it rewrites the file), auto_vacuum = INCREMENTAL does so in steps"},
     {.warn = 0.25, .fail = 0.5, .unit = Unit::kRatio, .fix = "VACUUM"}},
    {{"storage", "auto_vacuum", kSl, Rule::kWord, "free pages can be given back in steps",
      "set auto_vacuum = INCREMENTAL and VACUUM once: the file is large and much of it is free"},
     {.good = "full|incremental|not needed", .fix = "PRAGMA auto_vacuum = INCREMENTAL\nVACUUM"}},
    {{"storage", "wal_size", kSl, Rule::kAtMost, "size of the WAL file",
      "a reader that stays open keeps it from being reset: find it, then checkpoint"},
     {.warn = 64.0 * 1024 * 1024,
      .fail = kGiB,
      .unit = Unit::kBytes,
      .fix = "PRAGMA wal_checkpoint(TRUNCATE)"}},
    {{"storage", "strict_tables", kSl, Rule::kAtMost, "tables that accept any type",
      "make new tables STRICT: else a text in an INTEGER column is kept as text"},
     {.warn = 1, .fail = kNever}},

    // --- backup
    {{"backup", "daily_backup", kBoth, Rule::kEvidence, "there is a backup of every day",
      "look at the backup tool; without proof assume that there is none"},
     {.good = "yes", .blind = kNoBackup}},
    {{"backup", "backups_verified", kBoth, Rule::kEvidence, "backups are verified by machine",
      "restore each into a scratch database and compare row counts"},
     {.good = "yes", .blind = kNoBackup}},
    {{"backup", "backups_off_site", kBoth, Rule::kEvidence, "backups are kept off site",
      "copy them to another place under another account"},
     {.good = "yes", .blind = kNoBackup}},
    {{"backup", "recovery_tested", kBoth, Rule::kEvidence, "recovery was tried out",
      "restore under a new name, measure how long it takes, write it down"},
     {.good = "yes", .blind = kNoBackup}},
    {{"backup", "backup_retention", kBoth, Rule::kEvidence, "retention is written down",
      "keep 7 to 30 days, and count verified copies only"},
     {.good = "yes", .blind = kNoBackup}},
    {{"backup", "wal_archiving", kPg, Rule::kWord, "WAL is archived",
      "set archive_mode and archive_command (or archive_library), and watch pg_stat_archiver"},
     {.good = "working", .bad = "failing"}},
    {{"backup", "point_in_time_recovery", kPg, Rule::kWord, "point-in-time recovery is possible",
      "it needs a physical base backup and every WAL segment since"},
     {.good = "yes"}},
    {{"backup", "point_in_time_recovery", kSl, Rule::kEvidence,
      "point-in-time recovery is possible",
      "copy often, or replicate the WAL with a tool of its own"},
     {.good = "yes", .blind = "SQLite keeps no log to replay, only whole copies"}},

    // --- workflows
    {{"workflows", "workflow_schema", kBoth, Rule::kEvidence,
      "the workflow schema has all tables and indexes",
      "install_workflow_schema creates what is missing"},
     {.good = "complete", .blind = "it was not compared with the installed profile"}},

    // --- security
    {{"security", "superuser_sessions", kPg, Rule::kAtMost, "applications connected as superuser",
      "give the application a role of its own: a superuser passes every check"},
     {.warn = 1, .fail = kNever}},
    {{"security", "password_encryption", kPg, Rule::kWord, "passwords are stored as SCRAM",
      "md5 hashes can be replayed: set it, then let everyone set the password again"},
     {.good = "scram-sha-256",
      .fix = "ALTER SYSTEM SET password_encryption = 'scram-sha-256'\nSELECT pg_reload_conf()"}},
    {{"security", "trusted_schema", kSl, Rule::kWord, "the schema may not call risky functions",
      "turn it off on connections to files that others may have written"},
     {.good = "off", .fix = "PRAGMA trusted_schema = OFF"}},
    {{"security", "file_permissions", kSl, Rule::kWord, "only its owner can write the file",
      "take the right to write from others: chmod o-w on the file and its folder"},
     {.good = "owner|group|in memory", .bad = "everyone"}},
};

}  // namespace

std::span<const Check> AllChecks() {
    return kChecks;
}

}  // namespace upkeep::health
