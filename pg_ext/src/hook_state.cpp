// SPDX-License-Identifier: PostgreSQL
#include "hook_state.h"

#include "meter.h"

extern "C" {
#include "libpq/libpq-be.h"
}

namespace upkeep::pg {

using capture::Execution;
using capture::StatementKey;

int nesting = 0;
TimestampTz turned_on_in = 0;
Meter meters[kMeters] = {};

namespace {

int64_t NowUs() {
    return GetCurrentTimestamp() + kPostgresEpochUs;
}

}  // namespace

Place Here() {
    return {nesting, GetUserId()};
}

void LeaveMessageUncounted() {
    turned_on_in = GetCurrentStatementStartTimestamp();
}

void SetUsage(Execution* execution, const BufferUsage& buffers, const WalUsage& wal) {
    execution->hit_blocks = static_cast<uint64_t>(buffers.shared_blks_hit);
    execution->read_blocks = static_cast<uint64_t>(buffers.shared_blks_read);
    execution->temp_written_blocks = static_cast<uint64_t>(buffers.temp_blks_written);
    execution->wal_bytes = wal.wal_bytes;
}

SlowInput SlowOf(const StatementKey& key, const Execution& execution) {
    SlowInput slow = {};
    slow.fields = {.ended_us = NowUs(),
                   .duration_ns = execution.duration_ns,
                   .fingerprint = key.fingerprint,
                   .rows = execution.rows,
                   .hit_blocks = execution.hit_blocks,
                   .read_blocks = execution.read_blocks,
                   .database = key.database,
                   .user = key.user,
                   .endpoint = key.endpoint,
                   .pid = MyProcPid};
    slow.application_name = application_name;
    const bool is_remote = MyProcPort != nullptr && MyProcPort->remote_host != nullptr &&
                           MyProcPort->remote_host[0] != '[' && MyProcPort->remote_host[0] != '\0';
    slow.client_addr = is_remote ? MyProcPort->remote_host : nullptr;
    slow.keeps_literals = settings.capture_parameters;
    return slow;
}

void CountFailure(uint64_t fingerprint, capture::Operation operation, const Place& place,
                  uint64_t ns, uint32_t endpoint) {
    const StatementKey key = KeyFor(fingerprint, place.level == 0, place.user, endpoint);
    Execution execution;
    execution.duration_ns = ns;
    execution.is_error = true;
    execution.is_slow = IsSlow(ns);
    execution.ended_us = NowUs();
    if (!CountKnown(key, execution)) {
        CountNew(key, operation, "", execution);
    }
    if (execution.is_slow) {
        SlowInput slow = SlowOf(key, execution);
        slow.error_code = unpack_sql_state(geterrcode());
        KeepSlow(slow);
    }
}

}  // namespace upkeep::pg
