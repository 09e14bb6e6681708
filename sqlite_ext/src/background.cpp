// SPDX-License-Identifier: PostgreSQL
#include "background.h"

#include <pthread.h>
#include <signal.h>

#include <array>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#include "fork_safe.h"
#include "sqlite_api.h"

namespace upkeep::sqlite {

namespace {

/// Held during a round. A fork takes it first of all of ours (watched last, prepared first), so
/// that it never waits for one that a round needs while holding another of them.
std::mutex& TheMutex() {
    static std::mutex& mutex = *new std::mutex;
    return mutex;
}

std::array<std::atomic<Background*>, 4> all_tasks{};

}  // namespace

/// A child of fork() gets a new one: nobody there would wake from the old one's condition. Never
/// destroyed: the thread may look at it as the process ends.
struct Background::State {
    Background* task;
    std::mutex mutex;
    std::condition_variable changed;
    bool is_running = false;  // the thread is there or on its way
    bool is_ending = false;   // the process ends
    uint64_t version = 0;     // grows when the thread has something new to look at
    pthread_t thread{};

    explicit State(Background* of) : task(of) {}

    /// `mutex` is held. Nobody will join it.
    void Leave() {
        is_running = false;
        pthread_detach(pthread_self());
    }
};

Background::State& Background::TheState() {
    State* known = state_.load(std::memory_order_acquire);
    if (known == nullptr) {
        auto* made = new State(this);
        if (state_.compare_exchange_strong(known, made, std::memory_order_acq_rel)) {
            return *made;
        }
        delete made;
    }
    return *known;
}

void Background::ForgetInChild() {
    for (const std::atomic<Background*>& task : all_tasks) {
        if (Background* known = task.load()) {
            known->state_.store(nullptr, std::memory_order_release);
        }
    }
}

void Background::Round(void (*work)()) {
    const std::lock_guard at_work(TheMutex());
    work();
}

void Background::Work(State& state) {
    std::unique_lock lock(state.mutex);
    using Clock = std::chrono::steady_clock;
    Clock::time_point last = task_.begins_with_round ? Clock::time_point() : Clock::now();
    while (!state.is_ending) {
        const uint64_t seen = state.version;
        lock.unlock();
        const std::chrono::milliseconds interval = task_.interval();
        lock.lock();
        if (interval.count() == 0) {
            if (seen == state.version) {
                state.Leave();
                return;
            }
            continue;
        }
        state.changed.wait_until(lock, last + interval,
                                 [&] { return state.is_ending || state.version != seen; });
        if (!state.is_ending && Clock::now() >= last + interval) {
            lock.unlock();
            Round(task_.round);
            lock.lock();
            last = Clock::now();
        }
    }
    lock.unlock();
    if (task_.at_end != nullptr) {
        Round(task_.at_end);
    }
}

void* Background::Run(void* own) {
    State& state = *static_cast<State*>(own);
    try {
        state.task->Work(state);
    } catch (const std::exception& e) {  // no memory
        sqlite3_log(SQLITE_WARNING, "upkeep: no more %s: %s", state.task->task_.what, e.what());
        const std::lock_guard lock(state.mutex);
        if (!state.is_ending) {
            state.Leave();
        }
    }
    return nullptr;
}

/// Nothing runs on while the process comes apart.
void Background::EndWithProcess() {
    State* state = state_.load(std::memory_order_acquire);
    if (state == nullptr) {
        return;
    }
    std::unique_lock lock(state->mutex);
    const bool was_running = state->is_running;
    state->is_ending = true;
    state->changed.notify_all();
    lock.unlock();
    if (was_running) {
        pthread_join(state->thread, nullptr);
    }
}

void Background::EndAll() {
    for (const std::atomic<Background*>& task : all_tasks) {
        if (Background* known = task.load()) {
            known->EndWithProcess();
        }
    }
}

void Background::WatchProcess() {
    if (is_watched_.exchange(true)) {
        return;
    }
    if (task_.watch_mutexes != nullptr) {
        task_.watch_mutexes();
    }
    for (std::atomic<Background*>& task : all_tasks) {
        Background* nobody = nullptr;
        if (task.compare_exchange_strong(nobody, this)) {
            break;
        }
    }
    KeepUnlockedInChildren<TheMutex>();
    static const bool watched =
        pthread_atfork(nullptr, nullptr, ForgetInChild) == 0 && atexit(EndAll) == 0;
    static_cast<void>(watched);
}

Result<void> Background::Start(State& state) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&state.thread, nullptr, Run, &state);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (failed != 0) {
        return Error(Code::kHost,
                     std::string("no thread for ") + task_.what + ": " + strerror(failed),
                     task_.hint);
    }
    state.is_running = true;
    return {};
}

Result<void> Background::Apply(bool may_start) {
    const bool is_wanted = task_.interval().count() > 0;
    if (is_wanted && sqlite3_threadsafe() == 0) {
        return Error(Code::kUnsupported, "this SQLite was built without threads", task_.hint);
    }
    const bool starts = is_wanted && may_start;
    if (!starts && state_.load(std::memory_order_acquire) == nullptr) {
        return {};
    }
    WatchProcess();
    State& state = TheState();
    const std::lock_guard lock(state.mutex);
    ++state.version;
    state.changed.notify_all();
    return starts && !state.is_running && !state.is_ending ? Start(state) : Result<void>();
}

}  // namespace upkeep::sqlite
