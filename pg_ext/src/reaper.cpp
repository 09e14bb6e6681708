// SPDX-License-Identifier: PostgreSQL
#include "reaper.h"

#include <algorithm>
#include <optional>
#include <string>

#include "compat.h"
#include "guard.h"
#include "own_call.h"
#include "reaper_round.h"
#include "settings.h"

extern "C" {
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/snapmgr.h"
}

extern "C" {
PGDLLEXPORT void upkeep_reaper_worker(Datum);
}

namespace upkeep::pg {

namespace {

/// A code other than 0: the server starts the worker anew.
constexpr int kAgain = 1;
constexpr int kRestartSeconds = 5;
constexpr long kAfterErrorMs = 1000;  // twice as long after the next, and so on
constexpr long kMostAfterErrorMs = 60'000;
constexpr long kForeverMs = 24L * 60 * 60 * 1000;

void Sleep(long ms) {
    static_cast<void>(
        WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, PG_WAIT_EXTENSION));
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
    if (ConfigReloadPending) {
        ConfigReloadPending = 0;
        ProcessConfigFile(PGC_SIGHUP);
    }
}

/// The reaper's transactions wait for nobody, and nobody's settings are theirs.
void Set(const char* setting, const char* value) {
    SetConfigOption(setting, value, PGC_SUSET, PGC_S_OVERRIDE);
}

void Connect() {
    BackgroundWorkerInitializeConnection(settings.database, nullptr, 0);
    Set("search_path", "pg_catalog, pg_temp");
    Set("lock_timeout", "1s");
    Set("statement_timeout", "0");
    Set("default_transaction_read_only", "off");
    Set("default_transaction_isolation", "read committed");
    Set("synchronous_commit", "local");
    Set("row_security", "off");
}

/// Holds plain data only. False: an error, which has been logged.
bool RunGuarded(RoundKind kind, long* wait_ms) {
    volatile bool is_done = false;
    PG_TRY();
    {
        Enter(nullptr, [=](FunctionCallInfo) {
            *wait_ms = RunRound(kind);
            return Datum{0};
        });
        is_done = true;
    }
    PG_CATCH();
    {
        HOLD_INTERRUPTS();
        EmitErrorReport();
        AbortCurrentTransaction();
        FlushErrorState();
        RESUME_INTERRUPTS();
    }
    PG_END_TRY();
    return is_done;
}

void Main() {
    pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    BecomeReaper();
    while (!settings.reaper && ShutdownRequestPending == 0) {
        Sleep(kForeverMs);
    }
    if (ShutdownRequestPending != 0) {
        proc_exit(kAgain);
    }
    Connect();
    ++own_calls;  // for the life of the process
    const MemoryContext memory =
        AllocSetContextCreate(TopMemoryContext, "upkeep reaper", ALLOCSET_DEFAULT_SIZES);
    long after_error_ms = kAfterErrorMs;
    while (settings.reaper && ShutdownRequestPending == 0) {
        MemoryContextSwitchTo(memory);
        long wait_ms = 0;
        const bool is_done = RunGuarded(RoundKind::kUsual, &wait_ms);
        after_error_ms = is_done ? kAfterErrorMs : std::min(after_error_ms * 2, kMostAfterErrorMs);
        wait_ms = is_done ? wait_ms : after_error_ms / 2;
        MemoryContextReset(memory);
        Sleep(std::min(wait_ms, kForeverMs));
    }
    MemoryContextSwitchTo(memory);
    long wait_ms = 0;
    RunGuarded(RoundKind::kLast, &wait_ms);
    proc_exit(kAgain);
}

}  // namespace

void RegisterReaper() {
    BackgroundWorker worker = {};
    strlcpy(worker.bgw_name, "upkeep reaper", sizeof(worker.bgw_name));
    strlcpy(worker.bgw_type, "upkeep reaper", sizeof(worker.bgw_type));
    strlcpy(worker.bgw_library_name, "upkeep", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, "upkeep_reaper_worker", sizeof(worker.bgw_function_name));
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = kRestartSeconds;
    RegisterBackgroundWorker(&worker);
}

}  // namespace upkeep::pg

void upkeep_reaper_worker(Datum) {
    upkeep::pg::Main();
}
