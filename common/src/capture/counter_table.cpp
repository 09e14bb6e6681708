// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/counter_table.h"

#include "upkeep/base/text.h"
#include "upkeep/capture/normalize.h"

namespace upkeep::capture {

namespace {

constexpr uint32_t kOperations = static_cast<uint32_t>(Operation::kOther) + 1;
constexpr uint32_t kReserved = kOperations * 2;  // the rows of `other`, one per operation, status

constexpr std::string_view kOtherTables = "other";

uint32_t OtherRow(Operation operation, bool failed) {
    return static_cast<uint32_t>(operation) * 2 + (failed ? 1 : 0);
}

uint64_t HashOfLabels(Operation operation, std::string_view table, bool failed) {
    const auto name = static_cast<uint64_t>(Fingerprint(table));
    return (Mix(name ^ Mix(OtherRow(operation, failed) + 1)) | 2) & ~uint64_t{1};
}

}  // namespace

void CounterTable::Format(uint32_t capacity) {
    *header_ = {};
    header_->capacity = capacity;
    for (uint32_t i = 0; i < kReserved + capacity; ++i) {
        records_[i] = {};
    }
    for (uint32_t i = 0; i < kReserved; ++i) {
        CounterRecord& record = records_[i];
        record.operation = static_cast<Operation>(i / 2);
        record.failed = i % 2;
        record.table.Write(kOtherTables);
        record.word = 3;
    }
}

size_t CounterTable::Records(uint32_t capacity) {
    return kReserved + capacity;
}

uint32_t CounterTable::RowOf(Operation operation, std::string_view table, bool failed) {
    table = Clip(table, decltype(CounterRecord::table)::Room());
    const uint64_t hash = HashOfLabels(operation, table, failed);
    for (uint32_t i = 0; i < header_->capacity; ++i) {
        const auto row = kReserved + static_cast<uint32_t>((hash + i) % header_->capacity);
        CounterRecord& record = records_[row];
        uint64_t seen = Get(record.word, std::memory_order_acquire);
        if (seen == 0 && Swap(record.word, seen, hash, std::memory_order_acq_rel)) {
            Put(record.operation, operation);
            Put(record.failed, failed ? 1 : 0);
            record.table.Write(table);
            Put(record.word, hash | 1, std::memory_order_release);
            return row;
        }
        const bool may_be = (seen & ~uint64_t{1}) == hash;
        if (may_be &&
            ((seen & 1) == 0 || (record.table.Is(table) && Get(record.operation) == operation &&
                                 (Get(record.failed) != 0) == failed))) {
            return row;  // being written by another with these labels, or readable and the same
        }
    }
    return OtherRow(operation, failed);
}

void CounterTable::Add(uint32_t row, const Execution& execution) {
    if (row >= kReserved + header_->capacity) {
        return;
    }
    CounterRecord& record = records_[row];
    Bump(record.buckets[CounterBoundOf(execution.duration_ns)], 1);
    Bump(record.total_ns, execution.duration_ns);
    Bump(record.rows, execution.rows);
}

void CounterTable::AddMany(uint32_t row, const StatementTotals& totals,
                           const CounterBounds& bounds) {
    if (row >= kReserved + header_->capacity) {
        return;
    }
    CounterRecord& record = records_[row];
    for (size_t bound = 0; bound < bounds.size(); ++bound) {
        Bump(record.buckets[bound], bounds[bound]);
    }
    Bump(record.total_ns, totals.total_ns);
    Bump(record.rows, totals.rows);
}

std::vector<CounterSnapshot> CounterTable::Snapshots() const {
    std::vector<CounterSnapshot> all;
    for (uint32_t row = 0; row < kReserved + header_->capacity; ++row) {
        const CounterRecord& record = records_[row];
        if ((Get(record.word, std::memory_order_acquire) & 1) == 0) {
            continue;
        }
        CounterSnapshot copy;
        copy.operation = Get(record.operation);
        copy.failed = Get(record.failed) != 0;
        copy.table = record.table.Read();
        copy.total_ns = Get(record.total_ns);
        copy.rows = Get(record.rows);
        for (size_t i = 0; i < copy.buckets.size(); ++i) {
            copy.buckets[i] = Get(record.buckets[i]);
            copy.calls += copy.buckets[i];
        }
        if (copy.calls != 0) {
            all.push_back(std::move(copy));
        }
    }
    return all;
}

void CounterTable::AddSnapshot(const CounterSnapshot& snapshot) {
    const uint32_t row = snapshot.table == kOtherTables
                             ? OtherRow(snapshot.operation, snapshot.failed)
                             : RowOf(snapshot.operation, snapshot.table, snapshot.failed);
    CounterRecord& record = records_[row];
    Bump(record.total_ns, snapshot.total_ns);
    Bump(record.rows, snapshot.rows);
    for (size_t i = 0; i < snapshot.buckets.size(); ++i) {
        Bump(record.buckets[i], snapshot.buckets[i]);
    }
}

void CounterTable::Reset() {
    for (uint32_t row = 0; row < kReserved + header_->capacity; ++row) {
        CounterRecord& record = records_[row];
        Put(record.total_ns, 0);
        Put(record.rows, 0);
        for (uint64_t& bucket : record.buckets) {
            Put(bucket, 0);
        }
    }
}

}  // namespace upkeep::capture
