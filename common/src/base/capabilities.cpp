// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/capabilities.h"

namespace upkeep {

namespace {

std::string TierWord(HostFacts::Loaded loaded) {
    switch (loaded) {
        case HostFacts::Loaded::kPreloaded:
            return "preloaded";
        case HostFacts::Loaded::kLoaded:
            return "loaded";
        case HostFacts::Loaded::kCreated:
            break;
    }
    return "created";
}

Value TextOrNull(const std::string& text) {
    return text.empty() ? Value() : Value(text);
}

}  // namespace

void Capabilities(const HostFacts& facts, RowSink& rows) {
    const std::string tier = TierWord(facts.loaded);
    const auto add = [&](const char* feature, bool available, std::string reason,
                         const std::string& advice) {
        rows.Add({Value(std::string(feature)), Value(available), Value(tier),
                  Value(std::move(reason)), TextOrNull(advice)});
    };
    add("index_advice", true, "given statements are priced by this database's own planner", "");
    add("what_if", true, "plans with assumed indexes; nothing is created", "");
    if (!facts.progress_reason.empty()) {
        add("advice_progress", facts.can_show_progress, facts.progress_reason,
            facts.can_show_progress ? "" : facts.preload_advice);
    }
    add("statement_capture", facts.can_capture, facts.capture_reason, facts.capture_advice);
    add("saved_statistics", facts.is_saved, facts.saved_reason, facts.saved_advice);
    add("captured_workload", facts.has_statement_source, facts.statement_source,
        facts.statement_source_advice);
    add("workflow_schema", !facts.is_read_only,
        facts.is_read_only ? "this database is read-only"
                           : "creates ordinary tables for the caller",
        facts.is_read_only ? "call it where the database can be written" : "");
    add("sessions", true, "who is connected, waits and blocks; pool advice", "");
    add("pool_reports", facts.keeps_pool_reports, facts.pool_reports_reason,
        facts.keeps_pool_reports ? "" : facts.pool_reports_advice);
    rows.Add(
        {Value(std::string("reaping")), Value(facts.can_reap),
         Value(std::string(facts.reaps_in_session ? "preloaded" : "best_effort")),
         Value(std::string(!facts.can_reap              ? "this is a standby"
                           : !facts.reap_reason.empty() ? facts.reap_reason.c_str()
                           : facts.reaps_in_session
                               ? "on demand: each session refuses itself when a command reached it"
                               : "on demand: each session is looked at again just before")),
         facts.can_reap ? Value() : Value(std::string("call it on the primary"))});
    add("library", true, facts.loaded_reason, facts.preload_advice);
}

}  // namespace upkeep
