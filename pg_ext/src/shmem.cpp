// SPDX-License-Identifier: PostgreSQL
#include "shmem.h"

#include <new>

#include "doorbell.h"
#include "pg.h"
#include "pool_reports.h"
#include "progress.h"
#include "reap_shared.h"
#include "saved_statistics.h"
#include "settings.h"

extern "C" {
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
}

namespace upkeep::pg {

namespace detail {
capture::Store* store = nullptr;
capture::StatementCache statement_cache;
capture::TextCache text_cache;
}  // namespace detail

namespace {

shmem_request_hook_type previous_request = nullptr;
shmem_startup_hook_type previous_startup = nullptr;

// Built in place when the segment is there; never destroyed, as the process just ends.
static_assert(std::is_trivially_destructible_v<capture::Store>);
alignas(capture::Store) char store_memory[sizeof(capture::Store)];
bool is_shared = false;

capture::StoreLimits LimitsOfSettings() {
    capture::StoreLimits limits;
    limits.statements = static_cast<uint32_t>(settings.max_statements);
    limits.text_bytes = static_cast<uint64_t>(settings.text_memory_mb) << 20;
    limits.slow_statements = static_cast<uint32_t>(settings.max_slow_statements);
    return limits;
}

void Request() {
    if (previous_request != nullptr) {
        previous_request();
    }
    RequestAddinShmemSpace(capture::Store::BytesNeeded(LimitsOfSettings()));
    RequestAddinShmemSpace(ProgressBytes());
    RequestAddinShmemSpace(DoorbellBytes());
    RequestAddinShmemSpace(PoolReportsBytes());
    RequestNamedLWLockTranche(kPoolsLock, 1);
    RequestAddinShmemSpace(ReapSharedBytes());
}

/// The core's only throw here is a block of another layout, which cannot be: same binary.
void Attach(void* block, bool found, const capture::StoreLimits& limits) noexcept {
    const int64_t now_us = GetCurrentTimestamp() + kPostgresEpochUs;
    detail::store = found ? new (store_memory) capture::Store(block)
                          : new (store_memory)
                                capture::Store(capture::Store::Format(block, limits, now_us));
}

/// What the reaper's log cannot tell of the time before this start.
void NoteLogGap() {
    switch (HowTheLastRunEnded()) {
        case LastRun::kInOrder:
            break;
        case LastRun::kRestartedNow:
            SetLogGap(LogGap::kRestart);
            break;
        case LastRun::kNotInOrder:
            SetLogGap(LogGap::kDisorder);
            break;
    }
}

void Startup() {
    if (previous_startup != nullptr) {
        previous_startup();
    }
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    bool found = false;
    void* block =
        ShmemInitStruct("upkeep capture", capture::Store::BytesNeeded(LimitsOfSettings()), &found);
    Attach(block, found, LimitsOfSettings());
    is_shared = true;
    bool is_progress_found = false;
    void* progress = ShmemInitStruct("upkeep progress", ProgressBytes(), &is_progress_found);
    AttachProgress(progress, is_progress_found);
    bool is_doorbell_found = false;
    void* doorbell = ShmemInitStruct("upkeep doorbell", DoorbellBytes(), &is_doorbell_found);
    AttachDoorbell(doorbell, is_doorbell_found);
    bool is_pools_found = false;
    void* pools = ShmemInitStruct("upkeep pools", PoolReportsBytes(), &is_pools_found);
    AttachPoolReports(pools, is_pools_found);
    bool is_reaper_found = false;
    void* reaper = ShmemInitStruct("upkeep reaper", ReapSharedBytes(), &is_reaper_found);
    AttachReapShared(reaper, is_reaper_found);
    LWLockRelease(AddinShmemInitLock);
    if (!found) {
        NoteLogGap();
        KeepStatistics();
    }
}

}  // namespace

void RequestSharedMemory() {
    previous_request = shmem_request_hook;
    shmem_request_hook = Request;
    previous_startup = shmem_startup_hook;
    shmem_startup_hook = Startup;
}

void MakePrivateStore() {
    MemoryContext context =
        AllocSetContextCreate(TopMemoryContext, "upkeep capture", ALLOCSET_DEFAULT_SIZES);
    const Size bytes = capture::Store::BytesNeeded(kPrivateLimits);
    Attach(MemoryContextAllocHuge(context, bytes), false, kPrivateLimits);
}

bool IsStoreShared() {
    return is_shared;
}

}  // namespace upkeep::pg
