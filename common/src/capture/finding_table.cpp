// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/finding_table.h"

#include <algorithm>

namespace upkeep::capture {

namespace {

uint64_t HashOf(const FindingKey& key) {
    uint64_t hash = Mix(static_cast<uint64_t>(key.parent) ^ Mix(static_cast<uint64_t>(key.child)));
    hash = Mix(hash ^ (uint64_t{key.database} << 32 | key.user));
    return Mix(hash ^ (uint64_t{key.endpoint} << 32 | static_cast<uint32_t>(key.kind)));
}

void Reduce(uint64_t& word, uint64_t by) {
    uint64_t seen = Get(word);
    while (!Swap(word, seen, seen - std::min(seen, by), std::memory_order_acq_rel)) {
    }
}

uint64_t TakeOut(uint64_t& word) {
    return std::atomic_ref<uint64_t>(word).exchange(0, std::memory_order_relaxed);
}

/// Two processes that met a finding in the same instant may have made two records.
std::vector<FindingSnapshot> Merged(std::vector<FindingSnapshot> all) {
    const auto order = [](const FindingSnapshot& l, const FindingSnapshot& r) {
        const uint64_t left = HashOf(l.key);
        const uint64_t right = HashOf(r.key);
        return left != right ? left < right : l.key.child < r.key.child;
    };
    std::sort(all.begin(), all.end(), order);
    std::vector<FindingSnapshot> merged;
    for (const FindingSnapshot& one : all) {
        if (!merged.empty() && merged.back().key == one.key) {
            merged.back().Merge(one.totals);
        } else {
            merged.push_back(one);
        }
    }
    return merged;
}

}  // namespace

std::string_view FindingKindName(FindingKind kind) {
    return kind == FindingKind::kNPlusOne ? "n_plus_one" : "repeated_read";
}

void FindingSnapshot::Merge(const FindingTotals& other) {
    totals.occurrences += other.occurrences;
    totals.total_repeats += other.total_repeats;
    totals.max_repeats = std::max(totals.max_repeats, other.max_repeats);
    totals.total_ns += other.total_ns;
    totals.last_seen_us = std::max(totals.last_seen_us, other.last_seen_us);
}

uint64_t FindingSnapshot::MaxRepeats() const {
    const uint64_t occurrences = std::max<uint64_t>(totals.occurrences, 1);
    return std::max(totals.max_repeats, (totals.total_repeats + occurrences - 1) / occurrences);
}

void FindingTable::Add(const FindingKey& key, const FindingTotals& totals) {
    const SlotRef found = FindOrClaim(
        HashOf(key), [&](const FindingRecord& record) { return record.key == key; },
        [&](FindingRecord& record) {
            record.key = key;
            record.totals = {};
        });
    if (!found) {
        return;
    }
    FindingTotals& sums = At(found.record).totals;
    Bump(sums.occurrences, totals.occurrences);
    Bump(sums.total_repeats, totals.total_repeats);
    Bump(sums.total_ns, totals.total_ns);
    Raise(sums.max_repeats, totals.max_repeats);
    int64_t seen = Get(sums.last_seen_us);
    while (totals.last_seen_us > seen &&
           !Swap(sums.last_seen_us, seen, totals.last_seen_us, std::memory_order_acq_rel)) {
    }
    Unpin(found);
}

void FindingTable::TakeBack(const FindingKey& key, const FindingTotals& totals) {
    const SlotRef found =
        Find(HashOf(key), [&](const FindingRecord& record) { return record.key == key; });
    if (!found) {
        return;  // drained, evicted or reset since
    }
    FindingTotals& sums = At(found.record).totals;
    Reduce(sums.occurrences, totals.occurrences);
    Reduce(sums.total_repeats, totals.total_repeats);
    Reduce(sums.total_ns, totals.total_ns);
    Unpin(found);
}

std::vector<FindingSnapshot> FindingTable::Snapshots() {
    std::vector<FindingSnapshot> all;
    for (uint32_t i = 0; i < capacity(); ++i) {
        const SlotRef pinned = PinAny(i);
        if (!pinned) {
            continue;
        }
        const FindingRecord& record = At(i);
        FindingSnapshot copy{record.key, {}};
        copy.totals = {Get(record.totals.occurrences), Get(record.totals.total_repeats),
                       Get(record.totals.max_repeats), Get(record.totals.total_ns),
                       Get(record.totals.last_seen_us)};
        Unpin(pinned);
        if (copy.totals.total_repeats != 0) {
            all.push_back(copy);
        }
    }
    return Merged(std::move(all));
}

std::vector<FindingSnapshot> FindingTable::Drain(uint32_t database) {
    std::vector<FindingSnapshot> all;
    all.reserve(capacity());
    for (uint32_t i = 0; i < capacity(); ++i) {
        const SlotRef pinned = PinAny(i);
        if (!pinned) {
            continue;
        }
        FindingRecord& record = At(i);
        if (record.key.database == database && Get(record.totals.total_repeats) != 0) {
            FindingSnapshot taken{record.key, {}};
            taken.totals = {TakeOut(record.totals.occurrences),
                            TakeOut(record.totals.total_repeats),
                            TakeOut(record.totals.max_repeats), TakeOut(record.totals.total_ns),
                            Get(record.totals.last_seen_us)};
            all.push_back(taken);
        }
        Unpin(pinned);
    }
    return Merged(std::move(all));
}

}  // namespace upkeep::capture
