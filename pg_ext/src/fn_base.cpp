// upkeep itself: version, capabilities.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "capture_views.h"
#include "captured.h"
#include "hook_log.h"
#include "settings.h"
#include "shmem.h"
#include "tier.h"
#include "upkeep/base/version.h"

extern "C" {
#include "access/xlog.h"
}

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
    facts.capture_advice = !facts.preload_advice.empty()  ? facts.preload_advice
                           : !facts.can_capture           ? "set upkeep.capture to top or all"
                           : upkeep::pg::LogHidesErrors() ? "set log_min_messages to error or lower"
                                                          : "";
    facts.has_statement_source = upkeep::pg::HasStatementSource();
    facts.statement_source = upkeep::pg::SharedStore() != nullptr
                                 ? "upkeep captures the statements of this server itself"
                             : facts.has_statement_source
                                 ? "pg_stat_statements is installed in this database"
                                 : "pg_stat_statements is not installed in this database";
    if (!facts.has_statement_source) {
        facts.statement_source_advice =
            "CREATE EXTENSION pg_stat_statements (it has to be in shared_preload_libraries)";
    }
    facts.is_read_only = upkeep::pg::CallHost([] { return RecoveryInProgress(); });
    facts.can_reap = !facts.is_read_only;
    upkeep::Capabilities(facts, rows);
}
