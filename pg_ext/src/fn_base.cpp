// upkeep itself: version, capabilities.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "capture_views.h"
#include "captured.h"
#include "doorbell.h"
#include "hook_log.h"
#include "pool_reports.h"
#include "progress.h"
#include "saved_statistics.h"
#include "settings.h"
#include "shmem.h"
#include "tier.h"
#include "upkeep/base/version.h"

extern "C" {
#include "access/xlog.h"
}

namespace upkeep::pg {
namespace {

void FindPersistence(HostFacts* facts) {
    if (!IsStoreShared()) {
        facts->saved_reason = SharedStore() == nullptr ? "nothing is captured"
                                                       : "what this session captures ends with it";
        facts->saved_advice = facts->preload_advice;
        return;
    }
    facts->is_saved = settings.save;
    facts->saved_reason = settings.save
                              ? "saved when the server ends in order (pg_stat/upkeep.stat)"
                              : "upkeep.save is off: statistics end with the server";
    facts->saved_reason += std::string("; at the last start: ") + KeptReason();
    facts->saved_advice =
        settings.save ? "" : "ALTER SYSTEM SET upkeep.save = on; SELECT pg_reload_conf()";
}

}  // namespace
}  // namespace upkeep::pg

UPKEEP_SCALAR(version) {
    return upkeep::Value(std::string(upkeep::Version()));
}

UPKEEP_ROWS(capabilities) {
    using Loaded = upkeep::HostFacts::Loaded;
    upkeep::HostFacts facts;
    facts.loaded = upkeep::pg::Tier();
    facts.loaded_reason =
        facts.loaded == Loaded::kPreloaded ? "shared_preload_libraries names upkeep"
        : facts.loaded == Loaded::kLoaded  ? "loaded into this session only"
                                           : "loaded when one of its functions was called";
    if (facts.loaded != Loaded::kPreloaded) {
        facts.preload_advice =
            "add upkeep to shared_preload_libraries (keep what is there) and restart the server";
    }
    facts.can_capture = upkeep::pg::SharedStore() != nullptr &&
                        upkeep::pg::settings.capture != upkeep::pg::kCaptureNone;
    facts.capture_reason = upkeep::pg::CaptureReason();
    facts.capture_advice =
        facts.can_capture
            ? upkeep::pg::LogHidesErrors() ? "set log_min_messages to error or lower" : ""
        : upkeep::pg::SharedStore() != nullptr ? "set upkeep.capture to top or all"
                                               : upkeep::pg::kCaptureHint;
    facts.can_show_progress = upkeep::pg::CanShowProgress();
    facts.progress_reason = facts.can_show_progress
                                ? "calls under way of all sessions, in shared memory"
                                : "sessions share no memory: upkeep is not preloaded";
    facts.has_statement_source = upkeep::pg::HasStatementSource();
    facts.statement_source =
        upkeep::pg::IsStoreShared() ? "upkeep captures the statements of this server itself"
        : upkeep::pg::SharedStore() != nullptr ? "upkeep captures the statements of this session"
        : facts.has_statement_source           ? "pg_stat_statements is installed in this database"
                                     : "neither upkeep nor pg_stat_statements captures statements";
    if (!facts.has_statement_source) {
        facts.statement_source_advice =
            "add upkeep to shared_preload_libraries (keep what is there) and restart the server; "
            "where pg_stat_statements is preloaded already: CREATE EXTENSION pg_stat_statements";
    }
    upkeep::pg::FindPersistence(&facts);
    facts.is_read_only = upkeep::pg::CallHost([] { return RecoveryInProgress(); });
    facts.can_reap = !facts.is_read_only;
    facts.reaps_in_session = upkeep::pg::HasDoorbell();
    facts.keeps_pool_reports = upkeep::pg::KeepsPoolReports();
    facts.pool_reports_reason = facts.keeps_pool_reports
                                    ? "what report_pool is told is kept until the server ends"
                                    : "sessions share no memory: upkeep is not preloaded";
    facts.pool_reports_advice = facts.preload_advice;
    upkeep::Capabilities(facts, rows);
}
