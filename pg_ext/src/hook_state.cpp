// SPDX-License-Identifier: PostgreSQL
#include "hook_state.h"

#include "known_statements.h"
#include "meter.h"
#include "unfinished.h"

extern "C" {
#include "libpq/libpq-be.h"
#include "storage/proc.h"
}

namespace upkeep::pg {

using capture::Execution;
using capture::StatementKey;

int nesting = 0;
TimestampTz turned_on_in = 0;
Meter meters[kMeters] = {};
const QueryDesc* running_query = nullptr;
Running running = {};

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

namespace {

/// Start of the client's message whose error was counted for a statement; 0: none.
TimestampTz counted_in = 0;

/// What the statement waited for, where the error tells. By the time an error is caught the server
/// has taken the wait event itself away.
const char* WaitedFor(const Failure& failure) {
    const bool timed_out =
        failure.sqlstate == ERRCODE_LOCK_NOT_AVAILABLE && LockTimeout > 0 &&
        failure.ns >= static_cast<uint64_t>(LockTimeout) * 1000000;  // else NOWAIT
    return failure.sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED || timed_out ? "Lock" : nullptr;
}

void KeepSlowFailure(const Failure& failure, const StatementKey& key, const Execution& execution) {
    SlowInput slow = SlowOf(key, execution);
    slow.error_code = unpack_sql_state(failure.sqlstate);
    slow.wait_event = WaitedFor(failure);
    UnfinishedNodes nodes;
    if (failure.query != nullptr && failure.query->estate != nullptr) {
        slow.fields.rows = failure.query->estate->es_processed;
        slow.fields.hit_blocks = failure.hit_blocks;
        slow.fields.read_blocks = failure.read_blocks;
        if (settings.capture_plans) {
            TakeNodes(failure.query, &nodes);
            slow.unfinished = &nodes;
        }
    }
    KeepSlow(slow);
}

}  // namespace

bool TakeCountedFailure() {
    const bool is_counted = counted_in != 0 && counted_in == GetCurrentStatementStartTimestamp();
    counted_in = 0;
    return is_counted;
}

void CountFailure(const Failure& failure) {
    const bool top_level = failure.place.level == 0;
    const StatementKey key =
        KeyFor(failure.fingerprint, top_level, failure.place.user, failure.endpoint);
    Execution execution;
    execution.duration_ns = failure.ns;
    execution.is_error = true;
    execution.is_slow = IsSlow(failure.ns);
    execution.ended_us = NowUs();
    if (!CountKnown(key, execution)) {
        const char* tables = failure.tables;
        CountNew(key, failure.operation,
                 tables != nullptr ? tables : TablesOfFailed(failure.fingerprint), execution);
    }
    if (execution.is_slow) {
        KeepSlowFailure(failure, key, execution);
    }
    if (top_level) {
        counted_in = GetCurrentStatementStartTimestamp();
    }
}

}  // namespace upkeep::pg
