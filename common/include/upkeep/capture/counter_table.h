// Counters that never fall: executions and their durations by (operation, first table, status), in
// a small table of a fixed size that is never evicted. For metrics; statements come and go, these
// stay until a reset. When it is full, further tables share the name `other`.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <array>
#include <vector>

#include "upkeep/capture/statement_table.h"

namespace upkeep::capture {

/// Upper bounds of the duration buckets, in nanoseconds; the last bucket has none.
inline constexpr std::array<uint64_t, 15> kCounterBounds = {
    100'000,     500'000,       1'000'000,     2'500'000,     5'000'000,
    10'000'000,  25'000'000,    50'000'000,    100'000'000,   250'000'000,
    500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};

/// Executions by the smallest bound that is not below their duration; the last: above all.
using CounterBounds = std::array<uint64_t, kCounterBounds.size() + 1>;
inline size_t CounterBoundOf(uint64_t ns) {
    size_t bound = 0;
    while (bound < kCounterBounds.size() && ns > kCounterBounds[bound]) {
        ++bound;
    }
    return bound;
}

struct CounterRecord {
    uint64_t word = 0;  // hash with its lowest bit 0, | 1 once it can be read; 0: empty
    uint64_t total_ns = 0;
    uint64_t rows = 0;
    uint64_t buckets[kCounterBounds.size() + 1] = {};
    Operation operation = Operation::kOther;
    uint32_t failed = 0;
    SharedText<128> table;
};
static_assert(std::is_trivially_copyable_v<CounterRecord>);

struct CounterHeader {
    uint32_t capacity = 0;
    uint32_t reserved = 0;
};

struct CounterSnapshot {
    Operation operation = Operation::kOther;
    bool failed = false;
    std::string table;  // empty: a statement without a table
    uint64_t calls = 0;
    uint64_t rows = 0;
    uint64_t total_ns = 0;
    std::array<uint64_t, kCounterBounds.size() + 1> buckets = {};  // not cumulative
};

class CounterTable {
  public:
    CounterTable(CounterHeader* header, CounterRecord* records)
        : header_(header), records_(records) {}

    /// Records that a table of this capacity has: the rows of `other` come on top.
    static size_t Records(uint32_t capacity);

    void Format(uint32_t capacity);
    /// Row of these labels; always one, in the end that of (operation, `other`, status).
    uint32_t RowOf(Operation operation, std::string_view table, bool failed);
    void Add(uint32_t row, const Execution& execution);
    void AddMany(uint32_t row, const StatementTotals& totals, const CounterBounds& bounds);
    std::vector<CounterSnapshot> Snapshots() const;
    /// Adds what an earlier life of the server counted.
    void AddSnapshot(const CounterSnapshot& snapshot);
    /// All counters to zero; rows stay.
    void Reset();

  private:
    CounterHeader* header_;
    CounterRecord* records_;
};

}  // namespace upkeep::capture
