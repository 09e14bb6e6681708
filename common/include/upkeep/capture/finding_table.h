// Repeated reads that were found (n_plus_one.h), in shared memory of a fixed size: sums per
// (parent, child, database, user, endpoint, kind). Cold ones give way (slot_map.h).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "upkeep/capture/slot_map.h"

namespace upkeep::capture {

enum class FindingKind : uint32_t { kNPlusOne, kRepeatedRead };
std::string_view FindingKindName(FindingKind kind);

struct FindingKey {
    int64_t parent = 0;  // fingerprints
    int64_t child = 0;
    uint32_t database = 0;
    uint32_t user = 0;
    uint32_t endpoint = 0;
    FindingKind kind = FindingKind::kNPlusOne;
    friend bool operator==(const FindingKey&, const FindingKey&) = default;
};
static_assert(std::is_trivially_copyable_v<FindingKey>);

struct FindingTotals {
    uint64_t occurrences = 0;
    uint64_t total_repeats = 0;
    uint64_t max_repeats = 0;
    uint64_t total_ns = 0;
    int64_t last_seen_us = 0;
};

struct FindingRecord {
    SlotHead head;
    FindingKey key;
    FindingTotals totals;
};
static_assert(std::is_trivially_copyable_v<FindingRecord>);

struct FindingHeader {
    SlotMapHeader slots;
};

struct FindingSnapshot {
    FindingKey key;
    FindingTotals totals;

    void Merge(const FindingTotals& other);
    /// Of one occurrence. One that is under way counts with what it has so far.
    uint64_t MaxRepeats() const;
};

class FindingTable : public SlotMap<FindingTable, FindingRecord> {
  public:
    FindingTable(FindingHeader* header, uint64_t* index, FindingRecord* records)
        : SlotMap(&header->slots, index, records) {}

    /// Adds; `max_repeats` is raised. No room (all that were looked at are in use): it is lost.
    void Add(const FindingKey& key, const FindingTotals& totals);
    /// Takes back what was added for an occurrence that turned out to be none. Never below zero.
    void TakeBack(const FindingKey& key, const FindingTotals& totals);

    /// All of them, duplicates merged, in no order.
    std::vector<FindingSnapshot> Snapshots();
    /// Takes the counts of this database out: in the table or in what is returned, never both.
    std::vector<FindingSnapshot> Drain(uint32_t database);

    static void Release(FindingRecord&) {}
    static uint64_t Work(const FindingRecord& record) { return Get(record.totals.total_repeats); }
};

}  // namespace upkeep::capture
