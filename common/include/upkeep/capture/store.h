// All that capture keeps, over one block of memory that the host hands in (8-byte aligned, usable
// by many processes and threads at once, mapped anywhere).
//
//   header | statements: index, records, histogram pages | texts: index, records, chunks
//          | counters | endpoints | slow ring | findings: index, records
//          | samples: index, records, chunks
//
// A Store is a view: a few pointers, made anew by each process from the block's address; copies are
// cheap. A host calls, per finished execution:
//   1. Record(cache, key, execution): nearly always true, and that was all;
//   2. else it finds out operation, tables and text, and calls RecordNew.
// No call here blocks, allocates shared memory or does I/O; only the readers allocate heap.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <span>

#include "upkeep/capture/counter_table.h"
#include "upkeep/capture/endpoint_names.h"
#include "upkeep/capture/execution_batch.h"
#include "upkeep/capture/finding_table.h"
#include "upkeep/capture/samples.h"
#include "upkeep/capture/slow_ring.h"
#include "upkeep/capture/statement_table.h"
#include "upkeep/capture/text_table.h"

namespace upkeep::capture {

/// Sizes, fixed when the block is formatted.
struct StoreLimits {
    uint32_t statements = 5000;
    uint64_t text_bytes = uint64_t{16} << 20;
    uint32_t slow_statements = 1000;
    uint32_t endpoints = 1000;
    uint32_t counters = 1000;
    uint32_t findings = 1000;

    uint32_t pages() const { return statements * 6; }  // histogram octaves, 6 a statement
    uint32_t texts() const { return statements * 2; }
    uint32_t chunks() const { return static_cast<uint32_t>(text_bytes / sizeof(TextChunk)); }
    uint32_t sample_chunks() const { return chunks() / 4; }
};

/// What went wrong or did not fit; for capabilities and health.
struct StoreStatus {
    uint64_t evictions = 0;
    uint64_t missed = 0;
    uint64_t pages_missed = 0;
    uint64_t texts_not_kept = 0;
    uint64_t text_bytes_used = 0;
    uint64_t slow_dropped = 0;
    uint64_t endpoints_refused = 0;
    uint64_t host_errors = 0;  // failures of our own in hooks: the statement went on
    int64_t reset_us = 0;
};

struct StoreHeader {
    uint64_t magic = 0;
    StoreLimits limits;
    uint64_t host_errors = 0;
    int64_t reset_us = 0;
    StatementHeader statements;
    TextHeader texts;
    CounterHeader counters;
    EndpointHeader endpoints;
    SlowHeader slow;
    FindingHeader findings;
    TextHeader samples;
};
static_assert(std::is_trivially_copyable_v<StoreHeader>);

/// Of one statement, for deciding whether its executions are worth a closer look.
struct History {
    SlotRef at;  // its record; none: it is not known
    uint64_t executions = 0;
    uint64_t calls_over = 0;
    uint64_t slow_calls = 0;  // failed ones included
};

class Store {
  public:
    /// Bytes of a block for these limits; what the documentation computes.
    static size_t BytesNeeded(const StoreLimits& limits);
    /// Formats a block of BytesNeeded(limits). Nobody else may look at it yet.
    static Store Format(void* block, const StoreLimits& limits, int64_t now_us);
    /// A view of a formatted block.
    explicit Store(void* block);

    /// Adds an execution of a known statement. False: it is not known; nothing was counted.
    bool Record(StatementCache& cache, const StatementKey& key, const Execution& execution);
    /// Adds several executions of a statement that was known when they began to be added up; where
    /// it was evicted since, it is claimed again from `info` (as in RecordNew).
    void RecordBatch(StatementCache& cache, const StatementKey& key, StatementInfo info,
                     const ExecutionBatch& batch);
    /// Adds an execution of a statement that may be new. `counter` fields of `info` are filled
    /// here.
    void RecordNew(StatementCache& cache, const StatementKey& key, StatementInfo info,
                   const Execution& execution);
    /// A statement with this key will probably be new: fetches the memory that this will need.
    void Foresee(const StatementKey& key) {
        texts_.Foresee(key);
        statements_.Foresee(HashOf(key));
    }
    /// Adds time of planning to a known statement. False: it is not known; nothing was counted.
    bool AddPlanning(StatementCache& cache, const StatementKey& key, uint64_t ns);
    /// What is known of a statement, and how many of its durations were `ns` or longer.
    History HistoryOf(StatementCache& cache, const StatementKey& key, uint64_t ns);
    /// Tables (as in StatementInfo) of a record seen before, cut to the room; empty if it is
    /// another statement's by now. Allocates nothing.
    void TablesAt(SlotRef seen, int64_t fingerprint, std::span<char> out);
    /// Adds counts from elsewhere (a saved file, another process) to statements and nothing else.
    /// False: no record could be had.
    bool Restore(const StatementSnapshot& snapshot, std::string_view text);

    /// Every statement, in no order: one per key, where endpoints of one name are one.
    std::vector<StatementSnapshot> Statements();

    /// Statements, slow statements, findings, texts, samples, counters and names of endpoints start
    /// anew.
    void Reset(int64_t now_us);

    TextTable& texts() { return texts_; }
    StatementTable& statements() { return statements_; }
    CounterTable& counters() { return counters_; }
    EndpointNames& endpoints() { return endpoints_; }
    SlowRing& slow() { return slow_; }
    FindingTable& findings() { return findings_; }
    Samples& samples() { return samples_; }
    StoreStatus Status() const;
    int64_t ResetUs() const { return Get(header_->reset_us); }
    /// What is restored was counted since then.
    void RestoreResetTime(int64_t us) { Put(header_->reset_us, us); }
    const StoreLimits& limits() const { return header_->limits; }
    void CountHostError() { Bump(header_->host_errors, 1); }

  private:
    void FillCounters(StatementInfo* info);

    StoreHeader* header_;
    StatementTable statements_;
    TextTable texts_;
    CounterTable counters_;
    EndpointNames endpoints_;
    SlowRing slow_;
    FindingTable findings_;
    Samples samples_;
};

inline bool Store::Record(StatementCache& cache, const StatementKey& key,
                          const Execution& execution) {
    const SlotRef found = statements_.FindStatement(cache, key);
    if (!found) {
        return false;
    }
    statements_.Add(found, execution);
    const StatementRecord& record = statements_.At(found.record);
    counters_.Add(execution.is_error ? record.counter_failed : record.counter_ok, execution);
    statements_.Unpin(found);
    return true;
}

}  // namespace upkeep::capture
