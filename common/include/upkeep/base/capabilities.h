// What works here, how well, and what to do to get the rest: the rows of `capabilities`.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>

#include "upkeep/base/table_function.h"

namespace upkeep {

/// What a host found out about itself. Texts are the host's own words.
struct HostFacts {
    enum class Loaded { kPreloaded, kLoaded, kCreated };
    Loaded loaded = Loaded::kCreated;
    std::string loaded_reason;   // `shared_preload_libraries names upkeep`, `loaded by .load`, …
    std::string preload_advice;  // what to do for more; empty: nothing more to get
    bool can_capture = false;    // statements are captured here and now
    std::string capture_reason;  // what of them, or why not
    std::string capture_advice;  // what to do; empty: nothing
    bool is_saved = false;       // what is captured outlives this process
    std::string saved_reason;    // where and how, what became of the last time
    std::string saved_advice;
    bool has_statement_source = false;  // another source of captured statements can be read
    std::string statement_source;       // its name, or why there is none
    std::string statement_source_advice;
    bool can_reap = true;       // false on a standby
    bool is_read_only = false;  // a standby, a read-only file
    bool can_show_progress = false;
    std::string progress_reason = {};  // empty: this host has no such call
    bool reaps_in_session = false;     // who is to end looks itself, and may refuse
    bool keeps_pool_reports = false;   // what report_pool says is kept where others can read it
    std::string pool_reports_reason = {};
    std::string pool_reports_advice = {};
    std::string reap_reason = {};  // in the host's words; empty: in ours
};

/// One row per feature: feature, available, tier, reason, how_to_enable.
void Capabilities(const HostFacts& facts, RowSink& rows);

}  // namespace upkeep
