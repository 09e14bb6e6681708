// What the executions under way in this backend have used so far: time, blocks, WAL.
//
// The server's own Instrumentation (QueryDesc.totaltime) tells the same, but takes in twenty
// counters where five are wanted, allocates for each execution, and was a third of the price of
// capture. It is still used where no meter is free. Meters are keyed by the QueryDesc: a portal may
// be run in turns with others. One whose statement failed is not closed; it is void when its
// transaction ends. SPDX-License-Identifier: PostgreSQL
#pragma once

#include "compat.h"
#include "hook_state.h"

extern "C" {
#include "executor/execdesc.h"
}

namespace upkeep::pg {

struct Usage {
    uint64_t ns;
    uint64_t hit_blocks;
    uint64_t read_blocks;
    uint64_t temp_written_blocks;
    uint64_t wal_bytes;
};

struct Meter {
    const QueryDesc* query;
    LocalTransactionId transaction;
    Oid user;          // who started it
    uint64_t plan_ns;  // of planning, until it is counted
    bool is_running;
    Usage used;    // by the parts that ended
    Usage before;  // what clock and counters showed when the part under way began
};

inline constexpr uint32_t kMeters = 64;  // power of two
inline constexpr uint32_t kMeterWindow = 4;
extern Meter meters[kMeters];

inline uint32_t HomeOf(const QueryDesc* query) {
    return static_cast<uint32_t>(reinterpret_cast<uint64_t>(query) * 0x9E3779B97F4A7C15 >> 58);
}

/// The open meter of this query, or nullptr.
inline Meter* MeterOf(const QueryDesc* query) {
    const LocalTransactionId transaction = OwnTransaction();
    for (uint32_t i = 0; i < kMeterWindow; ++i) {
        Meter& meter = meters[(HomeOf(query) + i) % kMeters];
        if (meter.query == query && meter.transaction == transaction) {
            return &meter;
        }
    }
    return nullptr;
}

/// A meter for a query that starts; nullptr: none is free.
inline Meter* OpenMeter(const QueryDesc* query, Oid user, uint64_t plan_ns) {
    const LocalTransactionId transaction = OwnTransaction();
    for (uint32_t i = 0; i < kMeterWindow; ++i) {
        Meter& meter = meters[(HomeOf(query) + i) % kMeters];
        if (meter.query == nullptr || meter.query == query || meter.transaction != transaction) {
            meter.query = query;
            meter.transaction = transaction;
            meter.user = user;
            meter.plan_ns = plan_ns;
            meter.is_running = false;
            meter.used = {};
            return &meter;
        }
    }
    return nullptr;
}

inline void CloseMeter(Meter* meter) {
    meter->query = nullptr;
}

inline Usage UsageNow() {
    return {NowNs(), static_cast<uint64_t>(pgBufferUsage.shared_blks_hit),
            static_cast<uint64_t>(pgBufferUsage.shared_blks_read),
            static_cast<uint64_t>(pgBufferUsage.temp_blks_written), pgWalUsage.wal_bytes};
}

inline void StartMeter(Meter* meter) {
    meter->before = UsageNow();
    meter->is_running = true;
}

inline void StopMeter(Meter* meter) {
    const Usage now = UsageNow();
    meter->used.ns += now.ns - meter->before.ns;
    meter->used.hit_blocks += now.hit_blocks - meter->before.hit_blocks;
    meter->used.read_blocks += now.read_blocks - meter->before.read_blocks;
    meter->used.temp_written_blocks += now.temp_written_blocks - meter->before.temp_written_blocks;
    meter->used.wal_bytes += now.wal_bytes - meter->before.wal_bytes;
    meter->is_running = false;
}

}  // namespace upkeep::pg
