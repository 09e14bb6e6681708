// SPDX-License-Identifier: PostgreSQL
#include "reap_shared.h"

#include <algorithm>
#include <new>

#include "compat.h"
#include "pg.h"

extern "C" {
#include "storage/ipc.h"
#include "storage/latch.h"
}

namespace upkeep::pg {

namespace {

constexpr int kNoWorker = -1;

struct Shared {
    std::atomic<int> worker;  // its place among the server's processes
    std::atomic<uint64_t> version;
    std::atomic<LogGap> gap;
    std::atomic<bool> is_on;
    std::atomic<uint32_t> writing;  // odd while the worker writes the rules
    uint32_t rule_count;
    sessions::Rule rules[kMostRules];
    ActionRecord records[kRecords];
};
static_assert(std::atomic<LogGap>::is_always_lock_free);
static_assert(std::is_trivially_destructible_v<Shared>);

Shared* shared = nullptr;

void LeaveWorker(int, Datum) {
    PublishRules({}, false);
    shared->worker.store(kNoWorker);
}

}  // namespace

size_t ReapSharedBytes() {
    return sizeof(Shared);
}

void AttachReapShared(void* block, bool found) {
    shared = static_cast<Shared*>(block);
    if (!found) {
        new (shared) Shared{};
        shared->worker.store(kNoWorker);
    }
}

bool HasReapShared() {
    return shared != nullptr;
}

ActionRecord& RecordAt(int index) {
    return shared->records[index];
}

void WakeReaper() {
    const int worker = shared == nullptr ? kNoWorker : shared->worker.load();
    if (worker != kNoWorker) {
        // Another process's by now, at worst: a latch set for nothing.
        SetLatch(&ProcGlobal->allProcs[worker].procLatch);
    }
}

void BecomeReaper() {
    shared->worker.store(OwnProcNumber());
    on_shmem_exit(LeaveWorker, Datum{0});
}

void RulesChanged() {
    if (shared != nullptr) {
        shared->version.fetch_add(1);
        WakeReaper();
    }
}

uint64_t RulesVersion() {
    return shared->version.load();
}

void SetLogGap(LogGap gap) {
    shared->gap.store(gap);
}

LogGap CurrentLogGap() {
    return shared->gap.load();
}

void PublishRules(const std::vector<sessions::Rule>& rules, bool is_on) {
    shared->is_on.store(is_on);
    const size_t count = is_on ? std::min(rules.size(), kMostRules) : 0;
    shared->writing.fetch_add(1);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    shared->rule_count = static_cast<uint32_t>(count);
    std::copy_n(rules.begin(), count, shared->rules);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    shared->writing.fetch_add(1);
}

bool IsReaperOn() {
    return shared != nullptr && shared->is_on.load();
}

std::vector<sessions::Rule> RulesInForce() {
    std::vector<sessions::Rule> rules;
    // A worker that was killed while it wrote leaves an odd number, and a new shared memory.
    constexpr int kTries = 1000;
    for (int i = 0; shared != nullptr && i < kTries; ++i) {
        const uint32_t before = shared->writing.load();
        std::atomic_thread_fence(std::memory_order_seq_cst);
        const size_t count = std::min<size_t>(shared->rule_count, kMostRules);
        rules.assign(shared->rules, shared->rules + count);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (before % 2 == 0 && shared->writing.load() == before) {
            return rules;
        }
    }
    return {};
}

}  // namespace upkeep::pg
