// Threads of our own that do something now and then, where a setting asks for it. Off unless asked
// for; gone when the interval is 0 again and when the process ends. A fork waits until no round is
// under way; the child starts without a thread. Signals are for the application's threads.
// Not for: what a round does (flusher.cpp, supervisor.cpp). SPDX-License-Identifier: PostgreSQL
#pragma once

#include <atomic>
#include <chrono>

#include "upkeep/base/result.h"

namespace upkeep::sqlite {

class Background {
  public:
    struct Task {
        const char* what;                         // `writing every flush_interval`, in SQLite's log
        const char* hint;                         // what to do where there can be no thread
        std::chrono::milliseconds (*interval)();  // 0: none is wanted
        void (*round)();                          // may throw std::bad_alloc
        bool begins_with_round = false;
        void (*at_end)() = nullptr;         // as the process ends
        void (*watch_mutexes)() = nullptr;  // makes those that a round takes known to fork_safe.h
    };

    /// Objects live as long as the process: `static Background& x = *new Background(…)`.
    explicit Background(const Task& task) : task_(task) {}

    /// Takes over the interval: starts the thread, ends it, or wakes it to the new one.
    /// `may_start` false: an existing thread only.
    /// Errors: kUnsupported (an SQLite without threads), kHost (no thread to be had).
    Result<void> Apply(bool may_start = true);

  private:
    struct State;
    State& TheState();
    void WatchProcess();
    Result<void> Start(State& state);
    void Work(State& state);
    static void Round(void (*work)());
    void EndWithProcess();
    static void* Run(void* own);
    static void EndAll();
    static void ForgetInChild();

    const Task task_;
    std::atomic<State*> state_{nullptr};
    std::atomic<bool> is_watched_{false};
};

}  // namespace upkeep::sqlite
