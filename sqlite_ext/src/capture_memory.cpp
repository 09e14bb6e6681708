// SPDX-License-Identifier: PostgreSQL
#include "capture_memory.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>

#include "settings_state.h"

namespace upkeep::sqlite {

namespace {

std::atomic<Capture*> the_capture{nullptr};

int64_t Number(std::string_view setting) {
    return strtoll(SettingValue(setting).c_str(), nullptr, 10);
}

capture::StoreLimits Limits() {
    capture::StoreLimits limits;
    limits.statements = static_cast<uint32_t>(Number("max_statements"));
    limits.text_bytes = static_cast<uint64_t>(Number("text_memory")) << 20;
    limits.slow_statements = static_cast<uint32_t>(Number("max_slow_statements"));
    return limits;
}

/// The counts are the parent's. The child's first upkeep_capture or new connection starts afresh.
void ForgetInChild() {
    the_capture.store(nullptr, std::memory_order_release);
}

uint64_t Clock(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

Capture::Capture(const capture::StoreLimits& limits)
    : limits_(limits),
      block_(new uint64_t[(capture::Store::BytesNeeded(limits) + 7) / 8]),
      store_(capture::Store::Format(block_.get(), limits, WallClockUs())) {
    Refresh();
}

uint32_t Capture::DatabaseId(const std::string& file) {
    const std::lock_guard lock(names_);
    const auto found = std::find(databases_.begin(), databases_.end(), file);
    if (found != databases_.end()) {
        return static_cast<uint32_t>(found - databases_.begin()) + 1;
    }
    databases_.push_back(file);
    return static_cast<uint32_t>(databases_.size());
}

std::vector<std::string> Capture::Databases() {
    const std::lock_guard lock(names_);
    return databases_;
}

void Capture::Refresh() {
    const uint64_t version = SettingsVersion();
    if (config_.version.load(std::memory_order_acquire) == version) {
        return;
    }
    const std::string level = SettingValue("capture");
    config_.level = level == "none"  ? CaptureLevel::kNone
                    : level == "all" ? CaptureLevel::kAll
                                     : CaptureLevel::kTop;
    const int64_t slow_ms = Number("slow_threshold");
    config_.slow_ns = slow_ms < 0 ? -1 : slow_ms * 1'000'000;
    config_.keeps_plans = SettingValue("capture_plans") == "on";
    config_.keeps_parameters = SettingValue("capture_parameters") == "on";
    config_.n_plus_one_threshold = static_cast<uint32_t>(Number("n_plus_one_threshold"));
    config_.endpoint = store_.endpoints().IdOf(SettingValue("endpoint"));
    config_.version.store(version, std::memory_order_release);
}

uint32_t Capture::EndpointOfSetting() {
    const uint32_t known = config_.endpoint.load(std::memory_order_relaxed);
    if (store_.endpoints().IsCurrent(known)) {
        return known;
    }
    const uint32_t id = store_.endpoints().IdOf(SettingValue("endpoint"));
    config_.endpoint.store(id, std::memory_order_relaxed);
    return id;
}

Capture* TheCapture() {
    return the_capture.load(std::memory_order_acquire);
}

Capture& MakeCapture() {
    static const int watched = pthread_atfork(nullptr, nullptr, ForgetInChild);
    static_cast<void>(watched);
    if (Capture* known = TheCapture()) {
        return *known;
    }
    auto made = std::make_unique<Capture>(Limits());
    Capture* expected = nullptr;
    if (the_capture.compare_exchange_strong(expected, made.get(), std::memory_order_acq_rel)) {
        return *made.release();
    }
    return *expected;  // another thread was faster
}

std::string MainFile(sqlite3* db) {
    const char* file = sqlite3_db_filename(db, "main");
    return file != nullptr ? file : "";
}

int64_t WallClockUs() {
    return static_cast<int64_t>(Clock(CLOCK_REALTIME) / 1000);
}

uint64_t SteadyNs() {
    return Clock(CLOCK_MONOTONIC);
}

}  // namespace upkeep::sqlite
