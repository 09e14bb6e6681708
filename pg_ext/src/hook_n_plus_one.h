// The N+1 detector of this backend, fed by the capture hooks with what the client sends.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "hook_state.h"
#include "upkeep/capture/n_plus_one.h"

namespace upkeep::pg {

extern capture::Detector detector;

/// What a utility statement means to the detector; found out before it runs.
enum class UtilityRole : uint8_t { kOther, kEndsScope, kWrites, kDeclares, kFetches };
struct UtilityMeaning {
    UtilityRole role;
    uint32_t cursor;       // hash of its name
    uint64_t fingerprint;  // of the cursor's query
};
/// `text`: the statement's own.
UtilityMeaning MeaningOf(const Node* statement, const char* text, int length);
/// After it ran well, as the client's own statement.
void NoteUtility(const UtilityMeaning& meaning, const capture::StatementKey& key,
                 const capture::Execution& execution);

void NoteQueryInScope(const QueryDesc* query, const capture::StatementKey& key,
                      const capture::Execution& execution);
/// A query of the client's that was counted. Costs next to nothing where there is no suspicion.
inline void NoteQuery(const QueryDesc* query, const capture::StatementKey& key,
                      const capture::Execution& execution) {
    if (detector.MayHaveWork(execution.rows) && settings.n_plus_one_threshold > 0) {
        NoteQueryInScope(query, key, execution);
    }
}

/// A query of the client's gave some of its rows and goes on later.
void NotePortalPart(const QueryDesc* query);

}  // namespace upkeep::pg
