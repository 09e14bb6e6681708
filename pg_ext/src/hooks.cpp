// Capture: the parser, planner, executor and utility hooks. Every frame in hook_*.cpp holds plain
// data only; the previous hook is called from it directly, so that its errors pass as they would
// without us.
//
//   parse ─▶ text kept, constants as $n       (once per statement and backend, else a look)
//   plan  ─▶ time
//   start ─▶ a meter opened
//   run, finish ─▶ metered, nesting; an error is counted for the statement and goes on
//   end   ─▶ one atomic add per counter; slow ones: plan, ring
//   log   ─▶ an error of no statement is counted per SQLSTATE
//
// Cancelled and failed statements never reach `end`; what failed is known where it unwinds. In
// there nothing of the server is called: its state is what the error left.
// SPDX-License-Identifier: PostgreSQL
#include "hooks.h"

#include "hook_executor.h"
#include "hook_log.h"
#include "hook_plan.h"
#include "hook_state.h"
#include "hook_utility.h"
#include "shmem.h"

extern "C" {
#include "utils/plancache.h"
#include "utils/queryjumble.h"
}

namespace upkeep::pg {

void CaptureTurnedOn() {
    if (SharedStore() == nullptr) {
        return;
    }
    if (!IsQueryIdEnabled()) {
        ResetPlanCache();  // statements prepared before have no query id: analysed anew when used
    }
    EnableQueryId();
    if (nesting == 0) {
        LeaveMessageUncounted();
    }
}

void InstallCaptureHooks() {
    if (settings.capture != kCaptureNone) {
        EnableQueryId();
    }
    InstallPlanHooks();
    InstallExecutorHooks();
    InstallUtilityHook();
    InstallLogHook();
}

}  // namespace upkeep::pg
