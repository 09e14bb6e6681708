// SPDX-License-Identifier: PostgreSQL
#include "time_limit.h"

#include <csignal>

extern "C" {
#include "storage/latch.h"
}

namespace upkeep::pg {

namespace {

volatile sig_atomic_t limit_struck = 0;
bool is_limited = false;

/// In a signal handler: as a cancel of the statement, which the server looks for everywhere.
void Strike() {
    limit_struck = 1;
    InterruptPending = true;
    QueryCancelPending = true;
    SetLatch(MyLatch);
}

}  // namespace

TimeLimit::TimeLimit(int milliseconds) {
    static TimeoutId registered = MAX_TIMEOUTS;
    CallHostVoid([milliseconds, id = &registered] {
        if (*id == MAX_TIMEOUTS) {
            *id = RegisterTimeout(USER_TIMEOUT, Strike);
        }
        limit_struck = 0;
        is_limited = true;
        enable_timeout_after(*id, milliseconds);
    });
    id_ = registered;
}

TimeLimit::~TimeLimit() {
    disable_timeout(id_, false);
    if (limit_struck != 0) {
        QueryCancelPending = false;  // struck when nothing ran any more: nobody cancelled
    }
    is_limited = false;
}

bool IsLimited() {
    return is_limited;
}

bool LimitStruck() {
    return limit_struck != 0;
}

}  // namespace upkeep::pg
