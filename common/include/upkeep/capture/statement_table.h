// What is known of each statement, in shared memory of a fixed size: counters and a histogram of
// its durations per (fingerprint, database, user, endpoint, top level). An execution is one Find
// (mostly answered by the caller's private StatementCache), one pin and some atomic adds; it takes
// no lock. Concurrency and eviction: slot_map.h.
//
// The histogram has 64 steps an octave (histogram.h). Only octaves that were met have memory: a
// page of 64 counters from a shared pool, entered into the record's directory by compare-and-swap.
// When the pool runs out, cold statements are evicted for their pages; if that yields none, the
// duration is missing from the percentiles, and PagesMissed() counts it.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <vector>

#include "upkeep/capture/histogram.h"
#include "upkeep/capture/slot_map.h"

namespace upkeep::capture {

struct StatementKey {
    int64_t fingerprint = 0;
    uint32_t database = 0;
    uint32_t user = 0;
    uint32_t endpoint = 0;   // id of EndpointNames; 0: none
    uint32_t top_level = 1;  // 0 or 1
    friend bool operator==(const StatementKey&, const StatementKey&) = default;
};
static_assert(std::is_trivially_copyable_v<StatementKey>);
inline uint64_t HashOf(const StatementKey& key) {
    const uint64_t who = uint64_t{key.database} << 32 | key.user;
    const uint64_t where = uint64_t{key.endpoint} << 1 | key.top_level;
    return Mix(static_cast<uint64_t>(key.fingerprint) ^ Mix(who ^ Mix(where + 1)));
}

enum class Operation : uint32_t { kSelect, kInsert, kUpdate, kDelete, kMerge, kUtility, kOther };
std::string_view OperationName(Operation operation);

/// One execution that ended. What a host cannot tell stays 0.
struct Execution {
    uint64_t duration_ns = 0;
    uint64_t plan_ns = 0;
    uint64_t rows = 0;
    uint64_t hit_blocks = 0;
    uint64_t read_blocks = 0;
    uint64_t temp_written_blocks = 0;
    uint64_t wal_bytes = 0;
    uint32_t full_scans = 0;
    uint32_t sorts = 0;
    int64_t ended_us = 0;   // since 1970 UTC
    bool is_error = false;  // counts in `errors` and in nothing else
    bool is_slow = false;
};

/// What is stored with a statement when it is first met.
struct StatementInfo {
    Operation operation = Operation::kOther;
    std::string_view tables;  // names separated by '\n', in order of mention
    uint32_t counter_ok = 0;  // CounterTable rows of (operation, first table, status)
    uint32_t counter_failed = 0;
};

struct StatementTotals {
    uint64_t calls = 0;
    uint64_t errors = 0;
    uint64_t rows = 0;
    uint64_t total_ns = 0;
    uint64_t plan_ns = 0;
    uint64_t hit_blocks = 0;
    uint64_t read_blocks = 0;
    uint64_t temp_written_blocks = 0;
    uint64_t wal_bytes = 0;
    uint64_t full_scans = 0;
    uint64_t sorts = 0;
    uint64_t slow_calls = 0;
    uint64_t min_ns = UINT64_MAX;
    uint64_t max_ns = 0;
    double squares_ns2 = 0;  // sum of (duration - shift)^2
    uint64_t shift_ns = 0;   // the first duration: keeps the variance well conditioned
    int64_t first_seen_us = 0;
    int64_t last_seen_us = 0;
};

inline constexpr uint32_t kPageSteps = kSteps;
inline constexpr uint32_t kPages = BucketOf(UINT64_MAX) / kPageSteps + 1;

struct HistogramPage {
    uint32_t link = 0;  // of the free list
    uint32_t reserved = 0;
    uint64_t counts[kPageSteps] = {};
};

struct StatementRecord {
    SlotHead head;
    StatementKey key;
    StatementTotals totals;
    Operation operation = Operation::kOther;
    uint32_t counter_ok = 0;
    uint32_t counter_failed = 0;
    uint32_t pages[kPages] = {};  // page + 1; 0: never met
    SharedText<192> tables;
};
static_assert(std::is_trivially_copyable_v<StatementRecord>);

/// A consistent-enough copy: all of it belongs to this statement; the counters may be a few
/// executions apart.
struct StatementSnapshot {
    StatementKey key;
    Operation operation = Operation::kOther;
    std::string tables;  // as in StatementInfo
    StatementTotals totals;
    std::vector<BucketCount> buckets;  // ascending

    /// Adds another row of the same statement: a duplicate, another process's share.
    void Merge(const StatementSnapshot& other);
    double StddevNs() const;  // population, as pg_stat_statements
};

/// The caller's own memory of where statements stand; one per backend or connection, never shared.
class StatementCache {
  public:
    static constexpr uint32_t kEntries = 512;
    SlotRef Look(uint64_t hash) const {
        const Entry& entry = entries_[hash & (kEntries - 1)];
        return entry.hash == hash ? entry.ref : SlotRef{};
    }
    void Remember(uint64_t hash, SlotRef ref) { entries_[hash & (kEntries - 1)] = {hash, ref}; }

  private:
    struct Entry {
        uint64_t hash = 0;
        SlotRef ref;
    };
    Entry entries_[kEntries];
};

struct StatementHeader {
    SlotMapHeader slots;
    FreeListHead pages_free;
    uint64_t missed = 0;        // executions without a record: every one looked at was in use
    uint64_t pages_missed = 0;  // durations without a page
    uint32_t page_count = 0;
    uint32_t reserved = 0;
};

class StatementTable : public SlotMap<StatementTable, StatementRecord> {
  public:
    StatementTable(StatementHeader* header, uint64_t* index, StatementRecord* records,
                   HistogramPage* pages)
        : SlotMap(&header->slots, index, records), header_(header), pages_(pages) {}

    void Format(uint32_t capacity, uint32_t page_count);

    /// The statement's record, pinned, if it is known. Unpin after use.
    SlotRef FindStatement(StatementCache& cache, const StatementKey& key);
    /// The same, and makes it known. None: counted in Missed().
    SlotRef ClaimStatement(StatementCache& cache, const StatementKey& key,
                           const StatementInfo& info, const Execution& first);
    /// Adds one execution to a pinned record.
    void Add(SlotRef pinned, const Execution& execution);
    /// Adds what another process or an earlier life of the server counted.
    void AddSnapshot(SlotRef pinned, const StatementSnapshot& snapshot) {
        AddTotals(pinned, snapshot.totals, snapshot.buckets);
    }
    /// Adds what was counted elsewhere; buckets in any order.
    void AddTotals(SlotRef pinned, const StatementTotals& counted,
                   std::span<const BucketCount> buckets);

    /// Calls of a pinned record that took `ns` or longer, to the bucket.
    uint64_t CallsOfAtLeast(SlotRef pinned, uint64_t ns) const;

    /// Numbers of the records that hold a statement, those with the most work first.
    std::vector<uint32_t> ByWork();
    std::optional<StatementKey> KeyAt(uint32_t record);
    /// One of them; none: it has gone meanwhile, or holds no count.
    std::optional<StatementSnapshot> SnapshotAt(uint32_t record);
    /// Every statement, duplicates merged, in no order.
    std::vector<StatementSnapshot> Snapshots();
    /// Takes the counts of this database's statements out: each was counted here or is in what is
    /// returned, never both, while others go on adding. For a host that keeps them elsewhere
    /// (a state file); AddSnapshot puts them back. The statements stay known, with no calls.
    std::vector<StatementSnapshot> Drain(uint32_t database);

    uint64_t Missed() const { return Get(header_->missed); }
    uint64_t PagesMissed() const { return Get(header_->pages_missed); }

    void Release(StatementRecord& record);
    static void AboutToRelease(const StatementRecord& record) {
        const auto* pages = reinterpret_cast<const char*>(record.pages);
        for (size_t at = 0; at < sizeof(record.pages); at += 64) {
            __builtin_prefetch(pages + at);
        }
    }
    static uint64_t Work(const StatementRecord& record) {
        return Get(record.totals.total_ns) +
               kWorkOfACall * (Get(record.totals.calls) + Get(record.totals.errors));
    }

  private:
    static constexpr uint64_t kWorkOfACall = 1000;  // ns; so that very fast ones count as well
    SlotRef FindUncached(StatementCache& cache, uint64_t hash, const StatementKey& key);
    FreeList Pages() { return FreeList(&header_->pages_free, pages_, sizeof(HistogramPage)); }
    void AddDuration(StatementRecord& record, uint32_t bucket, uint64_t count);
    /// A page for this octave, which has none; nullptr: the pool is empty.
    HistogramPage* NewPage(StatementRecord& record, uint32_t octave);
    StatementSnapshot Copy(const StatementRecord& record) const;
    StatementSnapshot TakeOut(StatementRecord& record);

    StatementHeader* header_;
    HistogramPage* pages_;
};

// What each execution runs through is inline: calls between files were a fifth of its price.

inline SlotRef StatementTable::FindStatement(StatementCache& cache, const StatementKey& key) {
    const uint64_t hash = HashOf(key);
    const SlotRef known = cache.Look(hash);
    if (known && PinExact(known)) {
        if (At(known.record).key == key) [[likely]] {
            return known;
        }
        Unpin(known);
    }
    return FindUncached(cache, hash, key);
}

inline void StatementTable::AddDuration(StatementRecord& record, uint32_t bucket, uint64_t count) {
    const uint32_t octave = std::min(bucket / kPageSteps, kPages - 1);
    const uint32_t known = Get(record.pages[octave], std::memory_order_acquire);
    HistogramPage* page = known != 0 ? &pages_[known - 1] : NewPage(record, octave);
    if (page == nullptr) [[unlikely]] {
        Bump(header_->pages_missed, count);
        return;
    }
    Bump(page->counts[bucket % kPageSteps], count);
}

inline void StatementTable::Add(SlotRef pinned, const Execution& execution) {
    StatementRecord& record = At(pinned.record);
    StatementTotals& totals = record.totals;
    Put(totals.last_seen_us, execution.ended_us);
    Bump(totals.slow_calls, execution.is_slow ? 1 : 0);
    if (execution.is_error) {
        Bump(totals.errors, 1);
        return;
    }
    const uint64_t ns = execution.duration_ns;
    Bump(totals.total_ns, ns);
    Bump(totals.rows, execution.rows);
    Bump(totals.plan_ns, execution.plan_ns);
    Bump(totals.hit_blocks, execution.hit_blocks);
    Bump(totals.read_blocks, execution.read_blocks);
    Bump(totals.temp_written_blocks, execution.temp_written_blocks);
    Bump(totals.wal_bytes, execution.wal_bytes);
    Bump(totals.full_scans, execution.full_scans);
    Bump(totals.sorts, execution.sorts);
    Lower(totals.min_ns, ns);
    Raise(totals.max_ns, ns);
    const double off = static_cast<double>(ns) - static_cast<double>(totals.shift_ns);
    std::atomic_ref<double>(totals.squares_ns2).fetch_add(off * off, std::memory_order_relaxed);
    AddDuration(record, BucketOf(ns), 1);
    // Last, and read first: a call that a reader sees brings what it adds with it.
    std::atomic_ref<uint64_t>(totals.calls).fetch_add(1, std::memory_order_release);
}

}  // namespace upkeep::capture
