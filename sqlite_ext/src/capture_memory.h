// What this process has captured: the core's store on the heap, the names behind its numbers, and
// the settings that callbacks read, as atomics.
//
//   upkeep_capture(1) ──▶ MakeCapture() once per process; it is never freed: connections may close
//                         while the process exits
//   fork()            ──▶ the child starts without one; what it inherited is its parent's to save
//
// Lock order: a connection's mutex, then Capture::io, then Capture::names.
// Not for: callbacks (trace.h) and the state file (state_file.h).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sqlite_api.h"
#include "upkeep/capture/store.h"

namespace upkeep::sqlite {

enum class CaptureLevel : uint8_t { kNone, kTop, kAll };

/// The settings that a callback needs. Read anew when a setting has changed.
struct CaptureConfig {
    std::atomic<uint64_t> version{0};  // of the settings that these came from
    std::atomic<CaptureLevel> level{CaptureLevel::kTop};
    std::atomic<int64_t> slow_ns{-1};  // -1: nothing is slow
    std::atomic<bool> keeps_plans{true};
    std::atomic<bool> keeps_parameters{false};
    std::atomic<uint32_t> n_plus_one_threshold{0};  // 0: not looked for
    std::atomic<uint32_t> endpoint{0};              // of connections that have none of their own
};

class Capture {
  public:
    explicit Capture(const capture::StoreLimits& limits);

    capture::Store& store() { return store_; }
    CaptureConfig& config() { return config_; }
    const capture::StoreLimits& limits() const { return limits_; }

    /// Number of a database file, from 1; empty: those in memory, which share one. May wait.
    uint32_t DatabaseId(const std::string& file);
    /// Id of the setting `endpoint`; 0: it is empty. Waits only where the name had to give way.
    uint32_t EndpointOfSetting();
    /// Their files so far. May wait.
    std::vector<std::string> Databases();
    /// Takes over settings that have changed since the last time. May wait if so.
    void Refresh();

    /// Held while counts are on their way between the store and a file, and by readers of both.
    std::mutex io;
    /// Grows when samples are forgotten: statements that are still known leave new ones.
    std::atomic<uint32_t> sample_resets{0};

  private:
    capture::StoreLimits limits_;
    std::unique_ptr<uint64_t[]> block_;
    capture::Store store_;
    CaptureConfig config_;
    std::mutex names_;
    std::vector<std::string> databases_;
};

/// This process's memory, or nullptr where capture was never started.
Capture* TheCapture();
/// The same, made where need be. Throws std::bad_alloc.
Capture& MakeCapture();

/// Numbers of `main` of this connection: its file, empty in memory or temporary.
std::string MainFile(sqlite3* db);

/// Microseconds since 1970 UTC; nanoseconds of a clock that only runs forward.
int64_t WallClockUs();
uint64_t SteadyNs();

}  // namespace upkeep::sqlite
