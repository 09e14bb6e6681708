// The capture topic's calls: statements, slow statements, endpoints.
// SPDX-License-Identifier: PostgreSQL
#include "../base/calls.h"

namespace upkeep {

namespace {

constexpr Column kStatements[] = {
    {"fingerprint", Type::kBigint,
     "which statement: queryid (PostgreSQL), hash of the normalised text (SQLite); of <not "
     "executed>: the SQLSTATE, convert_from(decode(to_hex(fingerprint), 'hex'), 'SQL_ASCII')"},
    {"database_name", Type::kText, "database (SQLite: file) it ran in"},
    {"user_name", Type::kText, "role that ran it; SQLite: NULL"},
    {"endpoint", Type::kText,
     "route or action, as set or as a comment tells; NULL: none was told; other: for want of room"},
    {"operation", Type::kText, "SELECT, INSERT, UPDATE, DELETE, MERGE, UTILITY, OTHER"},
    {"tables", Type::kTextArray, "tables it names, in order of mention"},
    {"query", Type::kText,
     "its text without literals; <text not kept>: no room was left for it, or it has run once "
     "since "
     "there is none; <not executed>: errors without a statement, a row per SQLSTATE: what did not "
     "parse or bind, unknown prepared names, "
     "commits that failed, sessions ended while idle (PostgreSQL, where the log has ERROR)"},
    {"calls", Type::kBigint,
     "executions that ended well; SQLite: also failed ones that errors does not show"},
    {"errors", Type::kBigint,
     "executions that ended in an error; SQLite shows: locks not had, INSERT … VALUES that added "
     "no row, BEGIN and COMMIT in the wrong place"},
    {"rows", Type::kBigint, "rows returned or changed"},
    {"total_ms", Type::kFloat8,
     "time of all calls; SQLite: from the first step to the end, pauses of the reader included"},
    {"mean_ms", Type::kFloat8, "total_ms / calls"},
    {"stddev_ms", Type::kFloat8, "population standard deviation"},
    {"min_ms", Type::kFloat8, "shortest call"},
    {"max_ms", Type::kFloat8, "longest call"},
    {"p50_ms", Type::kFloat8, "median, within 1.6 %"},
    {"p95_ms", Type::kFloat8, "95th percentile, within 1.6 %"},
    {"p99_ms", Type::kFloat8, "99th percentile, within 1.6 %"},
    {"plan_total_ms", Type::kFloat8, "time of planning, not in total_ms; SQLite: NULL"},
    {"hit_blocks", Type::kBigint, "blocks found in shared buffers; SQLite: NULL"},
    {"read_blocks", Type::kBigint, "blocks read into shared buffers; SQLite: NULL"},
    {"hit_ratio", Type::kFloat8, "hit_blocks / (hit_blocks + read_blocks); NULL: no block"},
    {"temp_written_blocks", Type::kBigint, "blocks written to temporary files; SQLite: NULL"},
    {"wal_bytes", Type::kBigint, "write-ahead log made; SQLite: NULL"},
    {"full_scans", Type::kBigint, "scans of whole tables; SQLite: executions with one"},
    {"sorts", Type::kBigint, "sorts that no index saved"},
    {"slow_calls", Type::kBigint, "executions over slow_threshold"},
    {"first_seen_at", Type::kTimestamp, "when counting began"},
    {"last_seen_at", Type::kTimestamp, "end of the last execution"},
    {"is_top_level", Type::kBool, "sent by a client; false: run by a function"},
};

constexpr Column kSlowStatements[] = {
    {"captured_at", Type::kTimestamp, "when it ended"},
    {"duration_ms", Type::kFloat8, "how long it took"},
    {"pid", Type::kInt, "process that ran it"},
    {"database_name", Type::kText, "database (SQLite: file)"},
    {"user_name", Type::kText, "role; SQLite: NULL"},
    {"application_name", Type::kText, "application_name of the session; SQLite: NULL"},
    {"client_addr", Type::kText, "address of the client; NULL: a local one; SQLite: NULL"},
    {"endpoint", Type::kText, "route or action it belongs to"},
    {"fingerprint", Type::kBigint, "its row in statements"},
    {"query", Type::kText, "its text without literals"},
    {"parameters", Type::kText,
     "bound values; only with capture_parameters on; SQLite: the statement with its values"},
    {"rows", Type::kBigint, "rows returned or changed"},
    {"plan", Type::kJson,
     "its plan, literals as ? unless capture_parameters is on; with actual rows and times where "
     "its "
     "history nears slow_threshold (of a hundred executions one took half of it) and in one of "
     "1,024 "
     "executions of a session; of one that failed: its nodes, rows so far where they were counted, "
     "names as of now; SQLite: as planned when it was saved or read"},
    {"error_code", Type::kText, "SQLSTATE or result code it ended with; NULL: well"},
    {"wait_event", Type::kText,
     "what it waited for when it ended badly: Lock after a deadlock or lock_timeout; NULL: not "
     "known; SQLite: NULL"},
    {"hit_blocks", Type::kBigint, "blocks found in shared buffers; SQLite: NULL"},
    {"read_blocks", Type::kBigint, "blocks read into shared buffers; SQLite: NULL"},
};

constexpr Column kEndpoints[] = {
    {"endpoint", Type::kText,
     "route or action; NULL: statements without one; other: for want of room"},
    {"calls", Type::kBigint, "statement executions"},
    {"errors", Type::kBigint, "of statements, that ended in an error"},
    {"statements", Type::kBigint, "rows of statements that belong to it"},
    {"total_ms", Type::kFloat8, "time of all its statements"},
    {"p50_ms", Type::kFloat8, "median statement"},
    {"p95_ms", Type::kFloat8, "95th percentile of its statements"},
    {"p99_ms", Type::kFloat8, "99th percentile of its statements"},
    {"n_plus_one_count", Type::kBigint,
     "occurrences in n_plus_one; NULL: n_plus_one_threshold is 0"},
    {"last_seen_at", Type::kTimestamp, "end of its last statement"},
    {"database_name", Type::kText, "database (SQLite: file)"},
};

constexpr Column kLint[] = {
    {"code", Type::kText,
     "large_offset, keyset_without_tiebreaker, unbounded_result, leading_wildcard, "
     "function_on_column, implicit_cast, not_in_subquery, select_star, missing_statistics"},
    {"severity", Type::kText, "high (wrong results or very large ones), medium, info"},
    {"fingerprint", Type::kBigint, "its row in statements"},
    {"query", Type::kText, "its text without literals"},
    {"evidence", Type::kText,
     "what was measured and what the catalog says. Not seen: patterns that come as parameters or "
     "differ from the first, OFFSET by its value, which is never kept (PostgreSQL judges blocks a "
     "call, SQLite the slowest call against the fastest); SQLite: conditions that are more than "
     "one column, function or CAST against a value"},
    {"suggestion", Type::kText, "the statement rewritten in outline, or SQL to run"},
};

constexpr Column kNPlusOne[] = {
    {"parent_fingerprint", Type::kBigint, "the SELECT whose rows the others follow"},
    {"parent_query", Type::kText, "its text without literals"},
    {"child_fingerprint", Type::kBigint, "the SELECT that runs again and again"},
    {"child_query", Type::kText, "its text without literals"},
    {"endpoint", Type::kText, "route or action it belongs to; NULL: none was told"},
    {"occurrences", Type::kBigint, "how often the parent was followed by such a run"},
    {"max_repeats", Type::kBigint, "executions of the child in the longest of them"},
    {"total_repeats", Type::kBigint, "executions of the child in all of them"},
    {"total_ms", Type::kFloat8, "time of these executions in the database"},
    {"last_seen_at", Type::kTimestamp, "end of the last one"},
    {"suggestion", Type::kText, "what to do about it"},
    {"kind", Type::kText,
     "n_plus_one: other values each time; repeated_read: mostly the same ones"},
    {"database_name", Type::kText, "database (SQLite: file)"},
};

constexpr Parameter kPercentile[] = {
    {"fingerprint", Type::kBigint, nullptr, "which statement"},
    {"q", Type::kFloat8, nullptr, "0.95 for the 95th percentile"},
    {"endpoint", Type::kText, "NULL", "only executions of this endpoint; NULL: all"},
};

constexpr Parameter kSetEndpoint[] = {
    {"endpoint", Type::kText, nullptr, "route or action; NULL or empty: none of its own"},
};

constexpr Parameter kCapture[] = {
    {"enabled", Type::kBool, nullptr, "1 starts, 0 stops"},
};

constexpr TableFunction kCalls[] = {
    {.name = "statements",
     .topic = "capture",
     .kind = CallKind::kView,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "every captured statement: how often, how long, how much it read",
     .since = "0.1.0",
     .parameters = {},
     .columns = kStatements},
    {.name = "slow_statements",
     .topic = "capture",
     .kind = CallKind::kView,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "the last executions over slow_threshold, each with its plan",
     .since = "0.1.0",
     .parameters = {},
     .columns = kSlowStatements},
    {.name = "endpoints",
     .topic = "capture",
     .kind = CallKind::kView,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "what each route or action of the application costs",
     .since = "0.1.0",
     .parameters = {},
     .columns = kEndpoints},
    {.name = "lint_statements",
     .topic = "capture",
     .kind = CallKind::kFunction,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "what in the captured statements is slow or wrong, and how to write it instead",
     .since = "0.1.0",
     .parameters = {},
     .columns = kLint},
    {.name = "n_plus_one",
     .topic = "capture",
     .kind = CallKind::kView,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "statements that ran once for each row of another, or again and again for nothing",
     .since = "0.1.0",
     .parameters = {},
     .columns = kNPlusOne},
    {.name = "percentile",
     .topic = "capture",
     .kind = CallKind::kScalar,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "any percentile of a statement's durations in ms, in this database",
     .since = "0.1.0",
     .parameters = kPercentile,
     .columns = {},
     .returns = Type::kFloat8},
    {.name = "reset_statements",
     .topic = "capture",
     .kind = CallKind::kScalar,
     .hosts = Hosts::kBoth,
     .effect = Effect::kActs,
     .doc = "forgets all captured statements, slow statements, findings and counters",
     .since = "0.1.0",
     .parameters = {},
     .columns = {},
     .returns = Type::kVoid},
    {.name = "set_endpoint",
     .topic = "capture",
     .kind = CallKind::kScalar,
     .hosts = Hosts::kSqlite,
     .effect = Effect::kActs,
     .doc = "the route or action that this connection's following statements belong to",
     .since = "0.1.0",
     .parameters = kSetEndpoint,
     .columns = {},
     .returns = Type::kVoid},
    {.name = "capture",
     .topic = "capture",
     .kind = CallKind::kScalar,
     .hosts = Hosts::kSqlite,
     .effect = Effect::kActs,
     .doc = "starts or stops capture for this connection and those that this process opens later",
     .since = "0.1.0",
     .parameters = kCapture,
     .columns = {},
     .returns = Type::kVoid},
};

}  // namespace

std::span<const TableFunction> CaptureCalls() {
    return kCalls;
}

}  // namespace upkeep
