// Capture: the core's rows over what was captured in this process and in the state file.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "captured.h"
#include "lint.h"
#include "settings_state.h"
#include "trace.h"

namespace upkeep::sqlite {

namespace {

// Planning is a part of sqlite3_prepare, which no callback sees; the page cache counts per
// connection, not per statement; temporary files and the log are not counted.
constexpr capture::FilledColumns kFilled = {
    .planning = false, .blocks = false, .temp = false, .wal = false, .scans = true};

Result<void> StatementsCall(sqlite3* db, const Arguments&, RowSink& rows) {
    capture::StatementRows(ReadStatements(db), kFilled, rows);
    return {};
}

Result<void> SlowStatementsCall(sqlite3* db, const Arguments&, RowSink& rows) {
    capture::SlowRows(ReadSlowStatements(db), kFilled, rows);
    return {};
}

Result<void> EndpointsCall(sqlite3* db, const Arguments&, RowSink& rows) {
    const std::vector<capture::FindingView> findings = ReadFindings(db);
    const bool is_looked_for = SettingValue("n_plus_one_threshold") != "0";
    capture::EndpointRows(ReadStatements(db),
                          is_looked_for ? std::optional(std::span(findings)) : std::nullopt, rows);
    return {};
}

Result<void> NPlusOneCall(sqlite3* db, const Arguments&, RowSink& rows) {
    capture::FindingRows(ReadFindings(db), capture::SqlDialect::kSqlite, rows);
    return {};
}

Result<void> LintStatementsCall(sqlite3* db, const Arguments&, RowSink& rows) {
    LintStatements(db, rows);
    return {};
}

Result<Value> PercentileCall(sqlite3* db, const Arguments& arguments) {
    return capture::Percentile(ReadStatements(db), arguments);
}

Result<Value> ResetStatementsCall(sqlite3* db, const Arguments&) {
    ResetCaptured(db);
    return Value();
}

Result<Value> CaptureCall(sqlite3* db, const Arguments& arguments) {
    if (arguments.Bool("enabled")) {
        StartCapture(db);
    } else {
        StopCapture(db);
    }
    return Value();
}

Result<Value> SetEndpointCall(sqlite3* db, const Arguments& arguments) {
    SetEndpoint(db, arguments.IsNull("endpoint") ? "" : arguments.Text("endpoint"));
    return Value();
}

Result<Value> SaveCall(sqlite3* db, const Arguments&) {
    SaveCaptured(MainFile(db)).OrThrow();
    return Value();
}

constexpr Body kBodies[] = {
    {.call = "statements", .rows = StatementsCall},
    {.call = "slow_statements", .rows = SlowStatementsCall},
    {.call = "endpoints", .rows = EndpointsCall},
    {.call = "lint_statements", .rows = LintStatementsCall},
    {.call = "n_plus_one", .rows = NPlusOneCall},
    {.call = "percentile", .value = PercentileCall},
    {.call = "reset_statements", .value = ResetStatementsCall},
    {.call = "capture", .value = CaptureCall},
    {.call = "set_endpoint", .value = SetEndpointCall},
    {.call = "save", .value = SaveCall},
};

}  // namespace

std::span<const Body> CaptureBodies() {
    return kBodies;
}

}  // namespace upkeep::sqlite
