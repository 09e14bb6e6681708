// SPDX-License-Identifier: PostgreSQL
#include "reaper_log.h"

#include <string>

#include "guard.h"
#include "pg.h"
#include "spi_select.h"
#include "upkeep/capture/normalize.h"

extern "C" {
#include "mb/pg_wchar.h"
}

namespace upkeep::pg {

namespace {

using sessions::RuleAction;

int next_record = 0;

/// Whole characters of this database's encoding. Names and statements of another database may be in
/// another one: then what is not ASCII is not shown.
std::string Clean(std::string_view text, size_t room) {
    const char* data = text.data();
    const int size = static_cast<int>(text.size());
    const int most = static_cast<int>(std::min(text.size(), room));
    const bool is_valid =
        CallHost([=] { return pg_verify_mbstr(GetDatabaseEncoding(), data, size, true); });
    if (is_valid) {
        return std::string(text.substr(
            0, static_cast<size_t>(CallHost([=] { return pg_mbcliplen(data, size, most); }))));
    }
    std::string ascii(text.substr(0, room));
    for (char& character : ascii) {
        character = (static_cast<unsigned char>(character) & 0x80) != 0 ? '?' : character;
    }
    return ascii;
}

std::string Masked(std::string_view query) {
    capture::MaskOptions options;
    options.is_numbered = false;
    return capture::MaskLiterals(query, options);
}

/// One row, as plain data; nullptr is NULL.
struct LogRow {
    TimestampTz at;
    const char* rule;
    int pid;
    const char* user;
    const char* application;
    const char* address;
    const char* state;
    double state_ms;
    int64_t blocked;  // -1: NULL
    const char* query;
    const char* action;
    const char* outcome;
};

constexpr const char* kInsert =
    // There is one writer, so the next number is the greatest and one.
    "INSERT INTO upkeep.reap_log_rows (number, at, rule, pid, user_name, application_name, "
    "client_addr, "
    "state, state_ms, blocked_count, last_query, action, outcome) "
    "SELECT coalesce(pg_catalog.max(number), 0) OPERATOR(pg_catalog.+) 1, $1, $2, $3, $4, $5, $6, "
    "$7, $8, $9, "
    "$10, $11, $12 FROM upkeep.reap_log_rows";
constexpr int kLogColumns = 12;

SPIPlanPtr PrepareInsert() {
    Oid types[kLogColumns] = {TIMESTAMPTZOID, TEXTOID,   INT4OID, TEXTOID, TEXTOID, TEXTOID,
                              TEXTOID,        FLOAT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID};
    ConnectSpi();
    SPIPlanPtr plan = SPI_prepare(kInsert, kLogColumns, types);
    if (plan == nullptr) {
        elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    }
    return plan;
}

void InsertRow(SPIPlanPtr plan, const LogRow& row) {
    const char* const texts[kLogColumns] = {nullptr,         row.rule,    nullptr,    row.user,
                                            row.application, row.address, row.state,  nullptr,
                                            nullptr,         row.query,   row.action, row.outcome};
    Datum values[kLogColumns] = {};
    char nulls[kLogColumns] = {};
    for (int i = 0; i < kLogColumns; ++i) {
        nulls[i] = texts[i] == nullptr ? 'n' : ' ';
        values[i] = texts[i] == nullptr ? Datum{0} : CStringGetTextDatum(texts[i]);
    }
    const bool is_of_session = row.pid != 0;
    values[0] = TimestampTzGetDatum(row.at);
    nulls[0] = ' ';
    values[2] = Int32GetDatum(row.pid);
    values[7] = Float8GetDatum(row.state_ms);
    nulls[2] = nulls[7] = is_of_session ? ' ' : 'n';
    values[8] = Int64GetDatum(row.blocked);
    nulls[8] = row.blocked >= 0 ? ' ' : 'n';
    const int code = SPI_execute_plan(plan, values, nulls, false, 0);
    if (code != SPI_OK_INSERT) {
        elog(ERROR, "the reaper's log could not be written: %s", SPI_result_code_string(code));
    }
}

void InsertRecord(SPIPlanPtr plan, const ActionRecord& record) {
    const ActionFacts& facts = record.facts;
    const std::string rule(std::string_view(facts.rule));
    const std::string user(std::string_view(facts.user_name));
    const std::string application(std::string_view(facts.application_name));
    const std::string address(std::string_view(facts.client_addr));
    const std::string state(std::string_view(facts.state));
    const std::string query(std::string_view(facts.last_query));
    const std::string action(sessions::ActionWord(facts.action));
    const std::string outcome = std::string(std::string_view(record.outcome)) + ": " +
                                std::string(std::string_view(facts.because));
    const LogRow row = {facts.at,
                        rule.empty() ? nullptr : rule.c_str(),
                        facts.pid,
                        user.c_str(),
                        application.c_str(),
                        facts.has_address ? address.c_str() : nullptr,
                        state.c_str(),
                        facts.state_ms,
                        facts.blocked_count,
                        facts.has_query ? query.c_str() : nullptr,
                        action.c_str(),
                        outcome.c_str()};
    CallHostVoid([=] { InsertRow(plan, row); });
}

void InsertGap(SPIPlanPtr plan, LogGap gap) {
    LogRow row = {};
    row.at = GetCurrentTimestamp();
    row.blocked = -1;
    row.action = "gap";
    row.outcome = gap == LogGap::kRestart
                      ? "the server restarted after a crash: what the rules did just before it may "
                        "be missing"
                      : "the server was not shut down in order: what the rules did just before it "
                        "may be missing";
    CallHostVoid([=] { InsertRow(plan, row); });
}

/// The oldest go.
void Bound() {
    CallHostVoid([] {
        const int code = SPI_execute(
            "DELETE FROM upkeep.reap_log_rows WHERE number OPERATOR(pg_catalog.<) "
            "((SELECT pg_catalog.max(number) FROM upkeep.reap_log_rows) "
            "OPERATOR(pg_catalog.-) 9999)",
            false, 0);
        if (code != SPI_OK_DELETE) {
            elog(ERROR, "the reaper's log could not be bounded: %s", SPI_result_code_string(code));
        }
        SPI_finish();
    });
}
static_assert(kMostLogRows == 10000);

}  // namespace

ActionFacts FactsOf(const sessions::SessionSnapshot& session, const sessions::Rule& rule,
                    const sessions::Decision& decision, int64_t now_us) {
    const int64_t since_us = sessions::StateSinceUs(session);
    ActionFacts facts = {};
    facts.at = now_us - kPostgresEpochUs;
    facts.started = session.started_us - kPostgresEpochUs;
    facts.state_since = since_us - kPostgresEpochUs;
    facts.state_ms = static_cast<double>(now_us - since_us) / 1000;
    facts.blocked_count = session.blocks_count.value_or(-1);
    facts.pid = static_cast<int>(session.pid);
    facts.action = rule.action;
    facts.rule = rule.name;
    facts.user_name = Clean(session.user_name.value_or(""), 63);
    facts.application_name = Clean(session.application_name, 63);
    facts.has_address = session.client_addr.has_value();
    facts.client_addr = session.client_addr.value_or("");
    facts.state = session.state.value_or("");
    facts.has_query = session.query && !session.query->empty();
    facts.last_query = Clean(Masked(session.query.value_or("")), 511);
    facts.because = decision.because;
    return facts;
}

int TakeRecord(const ActionFacts& facts) {
    for (int i = 0; i < kRecords; ++i) {
        const int at = (next_record + i) % kRecords;
        RecordStage stage = RecordStage::kFree;
        if (RecordAt(at).stage.compare_exchange_strong(stage, RecordStage::kTaken)) {
            RecordAt(at).facts = facts;
            next_record = at + 1;
            return at;
        }
    }
    return -1;
}

void LogCall(const sessions::SessionSnapshot& session, RuleAction action) {
    if (!IsReaperOn()) {
        return;
    }
    const int64_t now_us = GetCurrentTimestamp() + kPostgresEpochUs;
    const char* caller = CallHost([] { return GetUserNameFromId(GetUserId(), true); });
    sessions::Rule rule;
    rule.name = std::string_view();
    rule.action = action;
    sessions::Decision decision;
    decision.because = "called by " + std::string(caller == nullptr ? "?" : caller) + ", process " +
                       std::to_string(MyProcPid);
    const ActionFacts facts = FactsOf(session, rule, decision, now_us);
    if (const int place = TakeRecord(facts); place >= 0) {
        FinishRecord(RecordAt(place), action == RuleAction::kEnd ? "ended" : "cancelled", "");
        WakeReaper();
    }
}

void FinishRecord(ActionRecord& record, std::string_view what, std::string_view why) {
    record.outcome = what;
    if (!why.empty()) {
        record.facts.because = why;
    }
    record.stage.store(RecordStage::kDone);
}

bool HasFinishedRecords() {
    for (int i = 0; i < kRecords; ++i) {
        if (RecordAt(i).stage.load() == RecordStage::kDone) {
            return true;
        }
    }
    return false;
}

std::vector<int> WriteLog() {
    std::vector<int> written;
    SPIPlanPtr plan = CallHost(PrepareInsert);
    if (const LogGap gap = CurrentLogGap(); gap != LogGap::kNone) {
        InsertGap(plan, gap);
    }
    for (int i = 0; i < kRecords; ++i) {
        if (RecordAt(i).stage.load() == RecordStage::kDone) {
            InsertRecord(plan, RecordAt(i));
            written.push_back(i);
        }
    }
    Bound();
    return written;
}

void FreeRecords(const std::vector<int>& records) {
    SetLogGap(LogGap::kNone);
    for (const int record : records) {
        RecordAt(record).stage.store(RecordStage::kFree);
    }
}

}  // namespace upkeep::pg
