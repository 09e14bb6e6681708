// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/statement_table.h"

#include <cmath>
#include <unordered_map>

namespace upkeep::capture {

namespace {

constexpr int kEvictionsForOnePage = 8;

auto Is(const StatementKey& key) {
    return [&key](const StatementRecord& record) { return record.key == key; };
}

/// Counters that are plain sums, for adding and for copying.
constexpr uint64_t StatementTotals::*kSums[] = {
    &StatementTotals::calls,       &StatementTotals::errors,
    &StatementTotals::rows,        &StatementTotals::total_ns,
    &StatementTotals::plan_ns,     &StatementTotals::hit_blocks,
    &StatementTotals::read_blocks, &StatementTotals::temp_written_blocks,
    &StatementTotals::wal_bytes,   &StatementTotals::full_scans,
    &StatementTotals::sorts,       &StatementTotals::slow_calls,
};

/// Sum of (d - to)^2 from the sum of (d - from)^2, with n and the sum of d.
double MoveShift(const StatementTotals& totals, uint64_t to) {
    const double n = static_cast<double>(totals.calls);
    const double step = static_cast<double>(totals.shift_ns) - static_cast<double>(to);
    const double deviation =
        static_cast<double>(totals.total_ns) - n * static_cast<double>(totals.shift_ns);
    return totals.squares_ns2 + 2 * step * deviation + n * step * step;
}

}  // namespace

std::string_view OperationName(Operation operation) {
    constexpr std::string_view kNames[] = {"SELECT", "INSERT",  "UPDATE", "DELETE",
                                           "MERGE",  "UTILITY", "OTHER"};
    return kNames[std::min<size_t>(static_cast<size_t>(operation), std::size(kNames) - 1)];
}

void StatementTable::Format(uint32_t capacity, uint32_t page_count) {
    *header_ = {};
    header_->page_count = page_count;
    SlotMap::Format(capacity);
    for (uint32_t i = page_count; i-- > 0;) {
        Pages().Push(i);
    }
}

SlotRef StatementTable::FindUncached(StatementCache& cache, uint64_t hash,
                                     const StatementKey& key) {
    const SlotRef found = Find(hash, Is(key));
    if (found) {
        cache.Remember(hash, found);
    }
    return found;
}

SlotRef StatementTable::ClaimStatement(StatementCache& cache, const StatementKey& key,
                                       const StatementInfo& info, const Execution& first) {
    const uint64_t hash = HashOf(key);
    const SlotRef found = FindOrClaim(hash, Is(key), [&](StatementRecord& record) {
        record.key = key;
        StatementTotals& totals = record.totals;
        for (const auto sum : kSums) {
            Put(totals.*sum, 0);
        }
        Put(totals.min_ns, UINT64_MAX);
        Put(totals.max_ns, 0);
        Put(totals.squares_ns2, 0);
        totals.shift_ns = first.duration_ns;
        totals.first_seen_us = first.ended_us;
        Put(totals.last_seen_us, first.ended_us);
        record.operation = info.operation;
        record.counter_ok = info.counter_ok;
        record.counter_failed = info.counter_failed;
        record.tables.Write(info.tables);
    });
    if (found) {
        cache.Remember(hash, found);
    } else {
        Bump(header_->missed, 1);
    }
    return found;
}

void StatementTable::AddTotals(SlotRef pinned, const StatementTotals& counted,
                               std::span<const BucketCount> buckets) {
    StatementRecord& record = At(pinned.record);
    StatementTotals& totals = record.totals;
    if (counted.last_seen_us > Get(totals.last_seen_us)) {
        Put(totals.last_seen_us, counted.last_seen_us);
    }
    for (const auto sum : kSums) {
        if (sum != &StatementTotals::calls) {
            Bump(totals.*sum, counted.*sum);
        }
    }
    Lower(totals.min_ns, counted.min_ns);
    Raise(totals.max_ns, counted.max_ns);
    std::atomic_ref<double>(totals.squares_ns2)
        .fetch_add(MoveShift(counted, totals.shift_ns), std::memory_order_relaxed);
    for (const BucketCount& entry : buckets) {
        if (entry.count != 0) {
            AddDuration(record, entry.bucket, entry.count);
        }
    }
    // Last, as in Add.
    std::atomic_ref<uint64_t>(totals.calls).fetch_add(counted.calls, std::memory_order_release);
}

HistogramPage* StatementTable::NewPage(StatementRecord& record, uint32_t octave) {
    uint32_t page = Pages().Pop();
    for (int i = 0; page == FreeList::kNone && i < kEvictionsForOnePage && EvictOne(); ++i) {
        page = Pages().Pop();
    }
    if (page == FreeList::kNone) {
        return nullptr;
    }
    for (uint64_t& count : pages_[page].counts) {
        Put(count, 0);
    }
    uint32_t seen = 0;
    if (!Swap(record.pages[octave], seen, page + 1, std::memory_order_acq_rel)) {
        Pages().Push(page);  // another was faster
        return &pages_[seen - 1];
    }
    return &pages_[page];
}

uint64_t StatementTable::CallsOfAtLeast(SlotRef pinned, uint64_t ns) const {
    const StatementRecord& record = At(pinned.record);
    const uint32_t lowest = BucketOf(ns);
    uint64_t calls = 0;
    for (uint32_t octave = lowest / kPageSteps; octave < kPages; ++octave) {
        const uint32_t page = Get(record.pages[octave], std::memory_order_acquire);
        const uint32_t first = octave == lowest / kPageSteps ? lowest % kPageSteps : 0;
        for (uint32_t step = first; page != 0 && step < kPageSteps; ++step) {
            calls += Get(pages_[page - 1].counts[step]);
        }
    }
    return calls;
}

void StatementTable::Release(StatementRecord& record) {
    for (uint32_t& page : record.pages) {
        if (const uint32_t held = Get(page); held != 0) {
            Put(page, 0);
            Pages().Push(held - 1);
        }
    }
}

StatementSnapshot StatementTable::Copy(const StatementRecord& record) const {
    StatementSnapshot copy;
    copy.key = record.key;
    copy.operation = record.operation;
    copy.tables = record.tables.Read();
    const uint64_t calls = Get(record.totals.calls, std::memory_order_acquire);
    for (const auto sum : kSums) {
        copy.totals.*sum = Get(record.totals.*sum);
    }
    copy.totals.calls = calls;
    copy.totals.min_ns = Get(record.totals.min_ns);
    copy.totals.max_ns = Get(record.totals.max_ns);
    copy.totals.squares_ns2 = Get(record.totals.squares_ns2);
    copy.totals.shift_ns = record.totals.shift_ns;
    copy.totals.first_seen_us = record.totals.first_seen_us;
    copy.totals.last_seen_us = Get(record.totals.last_seen_us);
    for (uint32_t octave = 0; octave < kPages; ++octave) {
        const uint32_t page = Get(record.pages[octave], std::memory_order_acquire);
        for (uint32_t step = 0; page != 0 && step < kPageSteps; ++step) {
            if (const uint64_t count = Get(pages_[page - 1].counts[step]); count != 0) {
                copy.buckets.push_back({octave * kPageSteps + step, count});
            }
        }
    }
    return copy;
}

StatementSnapshot StatementTable::TakeOut(StatementRecord& record) {
    const auto take = [](auto& word, auto rest) {
        return std::atomic_ref(word).exchange(rest, std::memory_order_relaxed);
    };
    StatementSnapshot taken;
    taken.key = record.key;
    taken.operation = record.operation;
    taken.tables = record.tables.Read();
    for (const auto sum : kSums) {
        taken.totals.*sum = take(record.totals.*sum, uint64_t{0});
    }
    taken.totals.min_ns = take(record.totals.min_ns, UINT64_MAX);
    taken.totals.max_ns = take(record.totals.max_ns, uint64_t{0});
    taken.totals.squares_ns2 = take(record.totals.squares_ns2, 0.0);
    taken.totals.shift_ns = record.totals.shift_ns;
    taken.totals.first_seen_us = record.totals.first_seen_us;
    taken.totals.last_seen_us = Get(record.totals.last_seen_us);
    for (uint32_t octave = 0; octave < kPages; ++octave) {
        const uint32_t page = Get(record.pages[octave], std::memory_order_acquire);
        for (uint32_t step = 0; page != 0 && step < kPageSteps; ++step) {
            uint64_t& count = pages_[page - 1].counts[step];
            if (Get(count) != 0) {
                taken.buckets.push_back({octave * kPageSteps + step, take(count, uint64_t{0})});
            }
        }
    }
    return taken;
}

namespace {

/// A pin that also goes when a copy runs out of memory.
struct Pinned {
    StatementTable* table;
    SlotRef ref;
    ~Pinned() { table->Unpin(ref); }
};

bool HoldsAnything(const StatementSnapshot& snapshot) {
    return !snapshot.buckets.empty() ||
           std::any_of(std::begin(kSums), std::end(kSums),
                       [&](const auto sum) { return snapshot.totals.*sum != 0; });
}

}  // namespace

std::vector<StatementSnapshot> StatementTable::Drain(uint32_t database) {
    std::vector<StatementSnapshot> all;
    for (uint32_t i = 0; i < capacity(); ++i) {
        const SlotRef ref = PinAny(i);
        if (!ref) {
            continue;
        }
        const Pinned pinned{this, ref};
        if (At(i).key.database != database) {
            continue;
        }
        StatementSnapshot taken = TakeOut(At(i));
        if (HoldsAnything(taken)) {
            all.push_back(std::move(taken));
        }
    }
    return all;
}

std::optional<StatementSnapshot> StatementTable::SnapshotAt(uint32_t record) {
    const SlotRef ref = PinAny(record);
    if (!ref) {
        return std::nullopt;
    }
    const Pinned pinned{this, ref};
    StatementSnapshot copy = Copy(At(record));
    if (copy.totals.calls == 0 && copy.totals.errors == 0) {
        return std::nullopt;  // just claimed, or the loser of two claims
    }
    return copy;
}

std::optional<StatementKey> StatementTable::KeyAt(uint32_t record) {
    const SlotRef ref = PinAny(record);
    if (!ref) {
        return std::nullopt;
    }
    const StatementKey key = At(record).key;
    Unpin(ref);
    return key;
}

std::vector<uint32_t> StatementTable::ByWork() {
    std::vector<std::pair<uint64_t, uint32_t>> all;
    for (uint32_t i = 0; i < capacity(); ++i) {
        if (const SlotRef ref = PinAny(i)) {
            all.emplace_back(Work(At(i)), i);
            Unpin(ref);
        }
    }
    std::sort(all.begin(), all.end(), [](const auto& left, const auto& right) {
        return left.first != right.first ? left.first > right.first : left.second < right.second;
    });
    std::vector<uint32_t> records(all.size());
    std::transform(all.begin(), all.end(), records.begin(),
                   [](const auto& entry) { return entry.second; });
    return records;
}

std::vector<StatementSnapshot> StatementTable::Snapshots() {
    std::vector<StatementSnapshot> all;
    std::unordered_multimap<uint64_t, size_t> places;
    for (uint32_t i = 0; i < capacity(); ++i) {
        std::optional<StatementSnapshot> found = SnapshotAt(i);
        if (!found) {
            continue;
        }
        StatementSnapshot& copy = *found;
        const uint64_t hash = HashOf(copy.key);
        bool merged = false;
        const auto [from, to] = places.equal_range(hash);
        for (auto place = from; place != to && !merged; ++place) {
            if (all[place->second].key == copy.key) {
                all[place->second].Merge(copy);
                merged = true;
            }
        }
        if (!merged) {
            places.emplace(hash, all.size());
            all.push_back(std::move(copy));
        }
    }
    return all;
}

void StatementSnapshot::Merge(const StatementSnapshot& other) {
    totals.squares_ns2 += MoveShift(other.totals, totals.shift_ns);
    for (const auto sum : kSums) {
        totals.*sum += other.totals.*sum;
    }
    totals.min_ns = std::min(totals.min_ns, other.totals.min_ns);
    totals.max_ns = std::max(totals.max_ns, other.totals.max_ns);
    totals.first_seen_us = std::min(totals.first_seen_us, other.totals.first_seen_us);
    totals.last_seen_us = std::max(totals.last_seen_us, other.totals.last_seen_us);
    if (tables.empty()) {
        tables = other.tables;
    }
    buckets = MergeBuckets(buckets, other.buckets);
}

double StatementSnapshot::StddevNs() const {
    if (totals.calls < 2) {
        return 0;
    }
    const double n = static_cast<double>(totals.calls);
    const double mean_off =
        static_cast<double>(totals.total_ns) / n - static_cast<double>(totals.shift_ns);
    return std::sqrt(std::max(0.0, totals.squares_ns2 / n - mean_off * mean_off));
}

}  // namespace upkeep::capture
