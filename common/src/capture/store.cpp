// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/store.h"

#include "upkeep/base/error.h"

namespace upkeep::capture {

namespace {

constexpr uint64_t kMagic = 0x31506565'6B707500ULL;

constexpr size_t Rounded(size_t bytes) {
    return (bytes + 63) / 64 * 64;  // a cache line
}

/// Offsets of the parts of a block; `end` is its size.
struct Layout {
    size_t statement_index, statements, pages, text_index, texts, chunks, counters, endpoint_index,
        endpoints, slow, finding_index, findings, sample_index, samples, sample_chunks, end;

    explicit Layout(const StoreLimits& limits) {
        size_t at = 0;
        const auto take = [&at](size_t bytes) {
            const size_t place = at;
            at += Rounded(bytes);
            return place;
        };
        take(sizeof(StoreHeader));
        statement_index = take(sizeof(uint64_t) * IndexSizeFor(limits.statements));
        statements = take(sizeof(StatementRecord) * limits.statements);
        pages = take(sizeof(HistogramPage) * limits.pages());
        text_index = take(sizeof(uint64_t) * IndexSizeFor(limits.texts()));
        texts = take(sizeof(TextRecord) * limits.texts());
        chunks = take(sizeof(TextChunk) * limits.chunks());
        counters = take(sizeof(CounterRecord) * CounterTable::Records(limits.counters));
        endpoint_index = take(sizeof(uint64_t) * IndexSizeFor(limits.endpoints));
        endpoints = take(sizeof(EndpointRecord) * limits.endpoints);
        slow = take(sizeof(SlowRecord) * limits.slow_statements);
        finding_index = take(sizeof(uint64_t) * IndexSizeFor(limits.findings));
        findings = take(sizeof(FindingRecord) * limits.findings);
        sample_index = take(sizeof(uint64_t) * IndexSizeFor(limits.statements));
        samples = take(sizeof(TextRecord) * limits.statements);
        sample_chunks = take(sizeof(TextChunk) * limits.sample_chunks());
        end = at;
    }
};

template <typename T>
T* At(void* block, size_t offset) {
    return reinterpret_cast<T*>(static_cast<char*>(block) + offset);
}

StoreHeader* HeaderOf(void* block) {
    auto* header = static_cast<StoreHeader*>(block);
    if (header->magic != kMagic) {
        throw Error(Code::kInternal, "the capture memory has another layout");
    }
    return header;
}

/// Layouts of one header are computed once per view.
struct Parts {
    StoreHeader* header;
    Layout layout;
    explicit Parts(void* block) : header(HeaderOf(block)), layout(header->limits) {}
};

}  // namespace

size_t Store::BytesNeeded(const StoreLimits& limits) {
    return Layout(limits).end;
}

Store::Store(void* block)
    : header_(HeaderOf(block)),
      statements_(&header_->statements, At<uint64_t>(block, Parts(block).layout.statement_index),
                  At<StatementRecord>(block, Parts(block).layout.statements),
                  At<HistogramPage>(block, Parts(block).layout.pages)),
      texts_(&header_->texts, At<uint64_t>(block, Parts(block).layout.text_index),
             At<TextRecord>(block, Parts(block).layout.texts),
             At<TextChunk>(block, Parts(block).layout.chunks)),
      counters_(&header_->counters, At<CounterRecord>(block, Parts(block).layout.counters)),
      endpoints_(&header_->endpoints, At<uint64_t>(block, Parts(block).layout.endpoint_index),
                 At<EndpointRecord>(block, Parts(block).layout.endpoints)),
      slow_(&header_->slow, At<SlowRecord>(block, Parts(block).layout.slow)),
      findings_(&header_->findings, At<uint64_t>(block, Parts(block).layout.finding_index),
                At<FindingRecord>(block, Parts(block).layout.findings)),
      samples_(TextTable(&header_->samples, At<uint64_t>(block, Parts(block).layout.sample_index),
                         At<TextRecord>(block, Parts(block).layout.samples),
                         At<TextChunk>(block, Parts(block).layout.sample_chunks))) {}

Store Store::Format(void* block, const StoreLimits& limits, int64_t now_us) {
    auto* header = static_cast<StoreHeader*>(block);
    *header = StoreHeader{};
    header->limits = limits;
    header->reset_us = now_us;
    header->magic = kMagic;
    Store store(block);
    store.statements_.Format(limits.statements, limits.pages());
    store.texts_.Format(limits.texts(), limits.chunks());
    store.counters_.Format(limits.counters);
    store.endpoints_.Format(limits.endpoints);
    store.slow_.Format(limits.slow_statements);
    store.findings_.Format(limits.findings);
    store.samples_.Format(limits.statements, limits.sample_chunks());
    return store;
}

void Store::RecordNew(StatementCache& cache, const StatementKey& key, StatementInfo info,
                      const Execution& execution) {
    FillCounters(&info);
    counters_.Add(execution.is_error ? info.counter_failed : info.counter_ok, execution);
    const SlotRef claimed = statements_.ClaimStatement(cache, key, info, execution);
    if (!claimed) {
        return;
    }
    statements_.Add(claimed, execution);
    statements_.Unpin(claimed);
}

void Store::FillCounters(StatementInfo* info) {
    const std::string_view first_table = info->tables.substr(0, info->tables.find('\n'));
    info->counter_ok = counters_.RowOf(info->operation, first_table, false);
    info->counter_failed = counters_.RowOf(info->operation, first_table, true);
}

void Store::RecordBatch(StatementCache& cache, const StatementKey& key, StatementInfo info,
                        const ExecutionBatch& batch) {
    SlotRef pinned = statements_.FindStatement(cache, key);
    if (pinned) {
        info.counter_ok = statements_.At(pinned.record).counter_ok;
    } else {
        FillCounters(&info);
        pinned = statements_.ClaimStatement(cache, key, info, batch.First());
    }
    counters_.AddMany(info.counter_ok, batch.totals(), batch.bounds());
    if (pinned) {
        statements_.AddTotals(pinned, batch.totals(), batch.buckets());
        statements_.Unpin(pinned);
    }
}

bool Store::AddPlanning(StatementCache& cache, const StatementKey& key, uint64_t ns) {
    const SlotRef found = statements_.FindStatement(cache, key);
    if (!found) {
        return false;
    }
    Bump(statements_.At(found.record).totals.plan_ns, ns);
    statements_.Unpin(found);
    return true;
}

History Store::HistoryOf(StatementCache& cache, const StatementKey& key, uint64_t ns) {
    History history;
    history.at = statements_.FindStatement(cache, key);
    if (history.at) {
        const StatementTotals& totals = statements_.At(history.at.record).totals;
        history.executions = Get(totals.calls) + Get(totals.errors);
        history.slow_calls = Get(totals.slow_calls);
        history.calls_over =
            Get(totals.max_ns) < ns ? 0 : statements_.CallsOfAtLeast(history.at, ns);
        statements_.Unpin(history.at);
    }
    return history;
}

void Store::TablesAt(SlotRef seen, int64_t fingerprint, std::span<char> out) {
    size_t size = 0;
    if (statements_.PinExact(seen)) {
        const StatementRecord& record = statements_.At(seen.record);
        if (record.key.fingerprint == fingerprint) {
            size = record.tables.ReadInto(out.first(out.size() - 1));
        }
        statements_.Unpin(seen);
    }
    out[size] = '\0';
}

bool Store::Restore(const StatementSnapshot& snapshot, std::string_view text) {
    StatementCache cache;
    StatementInfo info{.operation = snapshot.operation, .tables = snapshot.tables};
    FillCounters(&info);
    const Execution first{.duration_ns = snapshot.totals.calls == 0
                                             ? 0
                                             : snapshot.totals.total_ns / snapshot.totals.calls,
                          .ended_us = snapshot.totals.first_seen_us};
    const SlotRef claimed = statements_.ClaimStatement(cache, snapshot.key, info, first);
    if (!claimed) {
        return false;
    }
    statements_.AddSnapshot(claimed, snapshot);
    statements_.Unpin(claimed);
    if (!text.empty() && text != kNotKept) {
        texts_.Keep(snapshot.key.database, snapshot.key.fingerprint, text, snapshot.key.user);
    }
    return true;
}

std::vector<StatementSnapshot> Store::Statements() {
    std::vector<StatementSnapshot> all = statements_.Snapshots();
    MergeEndpoints(endpoints_, &all);
    return all;
}

void Store::Reset(int64_t now_us) {
    statements_.DoomAll();
    texts_.DoomAll();
    counters_.Reset();
    endpoints_.DoomAll();
    slow_.Reset();
    findings_.DoomAll();
    samples_.Reset();
    Put(header_->reset_us, now_us);
}

StoreStatus Store::Status() const {
    StoreStatus status;
    status.evictions = statements_.Evictions();
    status.missed = statements_.Missed();
    status.pages_missed = statements_.PagesMissed();
    status.texts_not_kept = texts_.NotKept();
    status.text_bytes_used = texts_.BytesUsed();
    status.slow_dropped = slow_.Dropped();
    status.endpoints_refused = endpoints_.Refused();
    status.host_errors = Get(header_->host_errors);
    status.reset_us = Get(header_->reset_us);
    return status;
}

}  // namespace upkeep::capture
