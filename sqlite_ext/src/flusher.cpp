// SPDX-License-Identifier: PostgreSQL
#include "flusher.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#include "captured.h"
#include "fork_safe.h"
#include "settings_state.h"
#include "statement_samples.h"

namespace upkeep::sqlite {

namespace {

/// A child of fork() gets a new one: nobody there would wake from the old one's condition.
struct Flusher {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_running = false;  // the thread is there or on its way
    bool is_ending = false;   // the process ends
    uint64_t version = 0;     // grows when the thread has something new to look at
    pthread_t thread{};
};

std::atomic<Flusher*> the_flusher{nullptr};

Flusher& TheFlusher() {
    Flusher* known = the_flusher.load(std::memory_order_acquire);
    if (known == nullptr) {
        auto* made = new Flusher;  // never destroyed: the thread may look at it as the process ends
        if (the_flusher.compare_exchange_strong(known, made, std::memory_order_acq_rel)) {
            return *made;
        }
        delete made;
    }
    return *known;
}

/// Held while files are written. A fork takes it first of all of ours (watched last, prepared
/// first), so that it never waits for one that the writer needs while holding another of them.
std::mutex& TheMutex() {
    static std::mutex& mutex = *new std::mutex;
    return mutex;
}

void ForgetInChild() {
    the_flusher.store(nullptr, std::memory_order_release);
}

std::chrono::milliseconds FlushInterval() {
    return std::chrono::milliseconds(strtoll(SettingValue("flush_interval").c_str(), nullptr, 10));
}

void FlushAll() {
    const std::lock_guard writing(TheMutex());
    if (Capture* capture = TheCapture()) {
        for (const std::string& database : capture->Databases()) {
            SaveAtClose(database);
        }
    }
}

/// `flusher.mutex` is held. Nobody will join it.
void Leave(Flusher& flusher) {
    flusher.is_running = false;
    pthread_detach(pthread_self());
}

void Work(Flusher& flusher) {
    std::unique_lock lock(flusher.mutex);
    auto flushed = std::chrono::steady_clock::now();
    while (!flusher.is_ending) {
        const uint64_t seen = flusher.version;
        lock.unlock();
        const std::chrono::milliseconds interval = FlushInterval();
        lock.lock();
        if (interval.count() == 0) {
            if (seen == flusher.version) {
                Leave(flusher);
                return;
            }
            continue;
        }
        flusher.changed.wait_until(lock, flushed + interval,
                                   [&] { return flusher.is_ending || flusher.version != seen; });
        if (flusher.is_ending || std::chrono::steady_clock::now() >= flushed + interval) {
            lock.unlock();
            FlushAll();
            lock.lock();
            flushed = std::chrono::steady_clock::now();
        }
    }
}

void* Run(void* own) {
    Flusher& flusher = *static_cast<Flusher*>(own);
    try {
        Work(flusher);
    } catch (const std::exception& e) {  // no memory: counts stay where they are
        sqlite3_log(SQLITE_WARNING, "upkeep: no more writing every flush_interval: %s", e.what());
        const std::lock_guard lock(flusher.mutex);
        if (!flusher.is_ending) {
            Leave(flusher);
        }
    }
    return nullptr;
}

/// At exit: what is in memory is written, and nothing runs on while the process comes apart.
void EndWithProcess() {
    Flusher* flusher = the_flusher.load(std::memory_order_acquire);
    if (flusher == nullptr) {
        return;
    }
    std::unique_lock lock(flusher->mutex);
    const bool was_running = flusher->is_running;
    flusher->is_ending = true;
    flusher->changed.notify_all();
    lock.unlock();
    if (was_running) {
        pthread_join(flusher->thread, nullptr);
    }
}

void WatchProcess() {
    static const bool watched = [] {
        static_cast<void>(SaveTrouble(""));  // the other mutexes are watched from here on
        static_cast<void>(CurrentInterval(MakeCapture(), 0));
        KeepUnlockedInChildren<TheMutex>();
        return pthread_atfork(nullptr, nullptr, ForgetInChild) == 0 && atexit(EndWithProcess) == 0;
    }();
    static_cast<void>(watched);
}

/// Signals are for the application's threads.
Result<void> Start(Flusher& flusher) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&flusher.thread, nullptr, Run, &flusher);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (failed != 0) {
        return Error(Code::kHost, std::string("no thread to write with: ") + strerror(failed),
                     "SELECT upkeep_set('flush_interval', 0), and upkeep_save() now and then");
    }
    flusher.is_running = true;
    return {};
}

}  // namespace

Result<void> ApplyFlushInterval() {
    const bool is_wanted = FlushInterval().count() > 0;
    if (is_wanted && sqlite3_threadsafe() == 0) {
        return Error(Code::kUnsupported, "this SQLite was built without threads",
                     "SELECT upkeep_set('flush_interval', 0), and upkeep_save() now and then");
    }
    const bool starts = is_wanted && TheCapture() != nullptr;
    if (!starts && the_flusher.load(std::memory_order_acquire) == nullptr) {
        return {};
    }
    WatchProcess();
    Flusher& flusher = TheFlusher();
    const std::lock_guard lock(flusher.mutex);
    ++flusher.version;
    flusher.changed.notify_all();
    return starts && !flusher.is_running && !flusher.is_ending ? Start(flusher) : Result<void>();
}

}  // namespace upkeep::sqlite
