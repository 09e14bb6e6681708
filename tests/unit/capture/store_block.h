// A formatted store on the heap, and the marks by which tests tell whose counts they see.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <memory>
#include <string>

#include "upkeep/capture/store.h"

namespace upkeep::capture {

class StoreBlock {
  public:
    explicit StoreBlock(const StoreLimits& limits)
        : words_(new uint64_t[Store::BytesNeeded(limits) / 8]()),
          store_(Store::Format(words_.get(), limits, 1)) {}
    void* memory() { return words_.get(); }
    Store* operator->() { return &store_; }
    Store& operator*() { return store_; }

  private:
    std::unique_ptr<uint64_t[]> words_;
    Store store_;
};

inline StoreLimits SmallLimits(uint32_t statements) {
    return {.statements = statements,
            .text_bytes = 64 * 1024,
            .slow_statements = 16,
            .endpoints = 8,
            .counters = 8};
}

inline StatementKey KeyOf(int64_t number) {
    return {.fingerprint = number, .database = 5, .user = 10};
}

/// Everything that statement `number` adds can be told from what any other adds.
inline Execution ExecutionOf(int64_t number) {
    const auto mark = static_cast<uint64_t>(number);
    return {.duration_ns = 1000 * (mark + 1),
            .rows = 7 * (mark + 1),
            .hit_blocks = 3 * (mark + 1),
            .ended_us = 1000};
}

inline void RunOnce(Store& store, StatementCache& cache, int64_t number) {
    const StatementKey key = KeyOf(number);
    const Execution execution = ExecutionOf(number);
    if (!store.Record(cache, key, execution)) {
        const std::string table = "t" + std::to_string(number % 5);
        store.texts().Keep(key.database, key.fingerprint, "select " + std::to_string(number));
        store.RecordNew(cache, key, {.operation = Operation::kSelect, .tables = table}, execution);
    }
}

/// Is everything in the snapshot its own?
inline bool IsOwn(const StatementSnapshot& snapshot) {
    const Execution own = ExecutionOf(snapshot.key.fingerprint);
    const StatementTotals& totals = snapshot.totals;
    uint64_t counted = 0;
    for (const BucketCount& entry : snapshot.buckets) {
        if (entry.bucket != BucketOf(own.duration_ns)) {
            return false;
        }
        counted += entry.count;
    }
    return counted <= totals.calls && totals.total_ns == totals.calls * own.duration_ns &&
           totals.rows == totals.calls * own.rows &&
           totals.hit_blocks == totals.calls * own.hit_blocks && totals.min_ns == own.duration_ns &&
           totals.max_ns == own.duration_ns &&
           snapshot.tables == "t" + std::to_string(snapshot.key.fingerprint % 5);
}

}  // namespace upkeep::capture
