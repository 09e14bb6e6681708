// SPDX-License-Identifier: PostgreSQL
#include "known_statements.h"

#include <cstring>

#include "recorder.h"
#include "shmem.h"

namespace upkeep::pg {

KnownStatement known_statements[kKnownStatements];

namespace {

struct FirstMet {
    uint64_t fingerprint;
    char tables[kTablesRoom];
};
constexpr uint32_t kFirstMet = 8;  // more than levels of functions that are usual
FirstMet first_met[kFirstMet];
uint32_t last_met = 0;
uint64_t looked_up = 0;
char tables_of_failed[kTablesRoom];

bool IsNear(const capture::History& history) {
    const uint64_t over = std::max(history.calls_over, history.slow_calls);
    return over != 0 && over * kNearShare >= history.executions;
}

}  // namespace

void LookUp(KnownStatement* known, uint64_t fingerprint, bool top_level,
            uint32_t endpoint) noexcept {
    const int threshold_ms = settings.slow_threshold_ms;
    const capture::StatementKey key = KeyFor(fingerprint, top_level, GetUserId(), endpoint);
    const uint64_t near_ns = static_cast<uint64_t>(std::max(threshold_ms, 0)) * 500000;
    const capture::History history = SharedStore()->HistoryOf(BackendStatements(), key, near_ns);
    const uint32_t uses = known->fingerprint == fingerprint ? known->uses : 0;
    *known = {fingerprint, history.at, uses, threshold_ms, threshold_ms == 0 || IsNear(history)};
}

void RememberTables(uint64_t fingerprint, const char (&tables)[kTablesRoom]) {
    last_met = (last_met + 1) % kFirstMet;
    first_met[last_met].fingerprint = fingerprint;
    memcpy(first_met[last_met].tables, tables, kTablesRoom);
}

const char* RememberedTables(uint64_t fingerprint) {
    for (const FirstMet& met : first_met) {
        if (met.fingerprint == fingerprint) {
            return met.tables;
        }
    }
    return nullptr;
}

void NoteLookedUp(uint64_t fingerprint) {
    looked_up = fingerprint;
}

bool TakeLookedUp(uint64_t fingerprint) {
    const bool is_this = looked_up == fingerprint;
    looked_up = 0;
    return is_this;
}

const char* TablesOfFailed(uint64_t fingerprint) noexcept {
    if (const char* remembered = RememberedTables(fingerprint); remembered != nullptr) {
        return remembered;
    }
    const KnownStatement& known = KnownAt(fingerprint);
    if (known.fingerprint != fingerprint || !known.at) {
        return "";
    }
    SharedStore()->TablesAt(known.at, static_cast<int64_t>(fingerprint), tables_of_failed);
    return tables_of_failed;
}

}  // namespace upkeep::pg
