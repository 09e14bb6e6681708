// What this backend remembers of the statements that it ran, so that the shared store is not asked
// before each execution:
//   * does its history near upkeep.slow_threshold? Then its plan's nodes count rows and time;
//   * which tables does it name? An error may come before it is first counted, and in a handler no
//     catalog can be asked.
// One entry per fingerprint in a table of a fixed size; who comes later takes the place. An entry
// is renewed from the shared history every kSampleEvery uses, and that use is the sample: it counts
// rows and time of its nodes whatever its history.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"
#include "settings.h"
#include "statement_facts.h"
#include "upkeep/capture/slot_map.h"

namespace upkeep::pg {

inline constexpr uint32_t kSampleEvery = 1024;
/// Of a hundred executions one took half of slow_threshold or more.
inline constexpr uint64_t kNearShare = 100;

struct KnownStatement {
    uint64_t fingerprint;
    capture::SlotRef at;  // one of its records; none: the store has none
    uint32_t uses;
    int threshold_ms;  // for which is_near was found out
    bool is_near;
};
inline constexpr uint32_t kKnownStatements = 512;
extern KnownStatement known_statements[kKnownStatements];

inline KnownStatement& KnownAt(uint64_t fingerprint) {
    return known_statements[fingerprint % kKnownStatements];
}
inline bool IsKnown(const KnownStatement& known, uint64_t fingerprint) {
    return known.fingerprint == fingerprint && known.threshold_ms == settings.slow_threshold_ms &&
           known.at;
}

/// Renews the entry from the shared history of this statement at this level.
void LookUp(KnownStatement* known, uint64_t fingerprint, bool top_level,
            uint32_t endpoint) noexcept;

/// After an execution that took long: the next one looks at the history again.
inline void NoteLong(uint64_t fingerprint) {
    KnownStatement& known = KnownAt(fingerprint);
    known.threshold_ms = known.is_near ? known.threshold_ms : INT_MIN;
}

/// Names of the tables of a statement that the store does not know, until it is counted. The last
/// few are kept.
void RememberTables(uint64_t fingerprint, const char (&tables)[kTablesRoom]);
/// nullptr: not remembered.
const char* RememberedTables(uint64_t fingerprint);
/// A statement that was looked up for planning needs no second look at its start. Taken once.
void NoteLookedUp(uint64_t fingerprint);
bool TakeLookedUp(uint64_t fingerprint);

/// As CountNew wants them, also from a record of the same fingerprint under another key (role,
/// endpoint). For handlers: "" if nothing is known.
const char* TablesOfFailed(uint64_t fingerprint) noexcept;

}  // namespace upkeep::pg
