// SPDX-License-Identifier: PostgreSQL
#include "progress.h"

#include <atomic>
#include <bit>
#include <new>
#include <optional>

#include "compat.h"
#include "guard.h"

extern "C" {
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/timestamp.h"
}

namespace upkeep::pg {

namespace {

using advisor::Phase;
using advisor::Progress;

/// `version` is odd while the owner writes. Each field is atomic by itself, so that a reader who
/// comes in between sees old values next to new ones and knows it by the version.
struct Slot {
    std::atomic<uint64_t> version;
    std::atomic<int64_t> pid;  // 0: nothing under way
    std::atomic<int64_t> role;
    std::atomic<int64_t> started_at;  // TimestampTz
    std::atomic<int64_t> phase;
    std::atomic<int64_t> statements_done;
    std::atomic<int64_t> statements_total;
    std::atomic<int64_t> planner_calls;
    std::atomic<int64_t> cache_hits;
    std::atomic<uint64_t> best_saving_ratio;  // bits of a double
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(std::is_trivially_destructible_v<Slot>);

constexpr int kMostLooks = 100;  // at one slot that is being written

Slot* slots = nullptr;
bool is_taken = false;  // this backend's slot is in use

/// What a reader copies out of a slot.
struct Copy {
    int64_t pid = 0;
    Oid role = InvalidOid;
    TimestampTz started_at = 0;
    Progress progress;
};

template <typename Fill>
void Write(Fill fill) {
    Slot& slot = slots[OwnProcNumber()];
    const uint64_t version = slot.version.load(std::memory_order_relaxed);
    slot.version.store(version + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    fill(slot);
    slot.version.store(version + 2, std::memory_order_release);
}

std::optional<Copy> Read(const Slot& slot) {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    for (int look = 0; look < kMostLooks; ++look) {
        const uint64_t version = slot.version.load(std::memory_order_acquire);
        if (version % 2 != 0) {
            continue;
        }
        Copy copy;
        copy.pid = slot.pid.load(kRelaxed);
        copy.role = static_cast<Oid>(slot.role.load(kRelaxed));
        copy.started_at = slot.started_at.load(kRelaxed);
        copy.progress.phase = static_cast<Phase>(slot.phase.load(kRelaxed));
        copy.progress.statements_done = slot.statements_done.load(kRelaxed);
        copy.progress.statements_total = slot.statements_total.load(kRelaxed);
        copy.progress.planner_calls = slot.planner_calls.load(kRelaxed);
        copy.progress.cache_hits = slot.cache_hits.load(kRelaxed);
        copy.progress.best_saving_ratio =
            std::bit_cast<double>(slot.best_saving_ratio.load(kRelaxed));
        std::atomic_thread_fence(std::memory_order_acquire);
        if (slot.version.load(kRelaxed) == version) {
            return copy.pid == 0 ? std::nullopt : std::optional(copy);
        }
    }
    return std::nullopt;
}

/// Is the slot's backend there? A later one in its place has another pid.
bool IsAlive(int number, int64_t pid) {
    return CallHost([=] {
        PGPROC* proc = BackendPidGetProc(static_cast<int>(pid));
        return proc != nullptr && ProcNumberOf(proc) == number;
    });
}

bool MaySee(Oid role) {
    return CallHost([=] {
        return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
               has_privs_of_role(GetUserId(), role);
    });
}

}  // namespace

size_t ProgressBytes() {
    return sizeof(Slot) * static_cast<size_t>(MaxBackends);
}

void AttachProgress(void* block, bool found) {
    slots = static_cast<Slot*>(block);
    if (!found) {
        for (int i = 0; i < MaxBackends; ++i) {
            new (slots + i) Slot{};
        }
    }
}

bool CanShowProgress() {
    return slots != nullptr;
}

ProgressRow::~ProgressRow() {
    if (is_shown_) {
        Write([](Slot& slot) { slot.pid.store(0, std::memory_order_relaxed); });
        is_taken = false;
    }
}

void ProgressRow::Tell(const Progress& progress) {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    if (slots == nullptr || OwnProcNumber() >= MaxBackends || (is_taken && !is_shown_)) {
        return;
    }
    const bool is_first = !is_shown_;
    is_shown_ = true;
    is_taken = true;
    Write([&](Slot& slot) {
        if (is_first) {
            slot.pid.store(MyProcPid, kRelaxed);
            slot.role.store(GetSessionUserId(), kRelaxed);
            slot.started_at.store(GetCurrentTimestamp(), kRelaxed);
        }
        slot.phase.store(static_cast<int64_t>(progress.phase), kRelaxed);
        slot.statements_done.store(progress.statements_done, kRelaxed);
        slot.statements_total.store(progress.statements_total, kRelaxed);
        slot.planner_calls.store(progress.planner_calls, kRelaxed);
        slot.cache_hits.store(progress.cache_hits, kRelaxed);
        slot.best_saving_ratio.store(std::bit_cast<uint64_t>(progress.best_saving_ratio), kRelaxed);
    });
}

std::vector<ProgressView> VisibleProgress() {
    std::vector<ProgressView> views;
    const TimestampTz now = GetCurrentTimestamp();
    for (int i = 0; slots != nullptr && i < MaxBackends; ++i) {
        const std::optional<Copy> copy = Read(slots[i]);
        if (copy && MaySee(copy->role) && IsAlive(i, copy->pid)) {
            views.push_back({static_cast<int>(copy->pid), copy->progress,
                             static_cast<double>(now - copy->started_at) / 1000});
        }
    }
    return views;
}

}  // namespace upkeep::pg
