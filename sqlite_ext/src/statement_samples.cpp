// SPDX-License-Identifier: PostgreSQL
#include "statement_samples.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "fork_safe.h"

namespace upkeep::sqlite {

namespace {

constexpr size_t kMostTexts = 4;         // of one statement
constexpr size_t kMostBytes = 1 << 20;   // of all
constexpr size_t kBytesOfAnEntry = 160;  // of the map, about
constexpr size_t kMostDatabases = 1000;

using Key = std::pair<uint32_t, int64_t>;

struct Samples {
    std::mutex mutex;
    const Capture* owner = nullptr;  // what is of another is the parent's, before a fork
    size_t bytes = 0;
    std::map<Key, StatementSamples> by_statement;
    std::map<uint32_t, Interval> intervals;
};

std::mutex& TheMutex();

/// Never destroyed: connections may still run statements while the process exits.
Samples& TheSamples() {
    static Samples& samples = *new Samples;
    KeepUnlockedInChildren<TheMutex>();
    return samples;
}

std::mutex& TheMutex() {
    return TheSamples().mutex;
}

void BelongTo(Samples& samples, const Capture& capture) {
    if (samples.owner != &capture) {
        samples.by_statement.clear();
        samples.intervals.clear();
        samples.bytes = 0;
        samples.owner = &capture;
    }
}

bool Fits(Samples& samples, size_t bytes) {
    if (samples.bytes + bytes > kMostBytes) {
        return false;
    }
    samples.bytes += bytes;
    return true;
}

void Note(Samples& samples, Key key, std::string_view sql) {
    auto found = samples.by_statement.find(key);
    if (found == samples.by_statement.end()) {
        if (!Fits(samples, kBytesOfAnEntry)) {
            return;  // not there: incomplete
        }
        found = samples.by_statement.emplace(key, StatementSamples{{}, true}).first;
    }
    StatementSamples& known = found->second;
    if (!known.is_complete ||
        std::find(known.texts.begin(), known.texts.end(), sql) != known.texts.end()) {
        return;
    }
    if (known.texts.size() >= kMostTexts || !Fits(samples, sql.size())) {
        known.is_complete = false;
        return;
    }
    known.texts.emplace_back(sql);
}

}  // namespace

void NoteSample(const Capture& capture, uint32_t database, int64_t fingerprint,
                std::string_view sql) noexcept {
    Samples& samples = TheSamples();
    const std::lock_guard lock(samples.mutex);
    try {
        BelongTo(samples, capture);
        Note(samples, {database, fingerprint}, sql);
    } catch (const std::exception&) {  // no memory: then its plan is not known
        samples.by_statement.erase({database, fingerprint});
    }
}

StatementSamples SamplesOf(const Capture& capture, uint32_t database, int64_t fingerprint) {
    Samples& samples = TheSamples();
    const std::lock_guard lock(samples.mutex);
    BelongTo(samples, capture);
    const auto found = samples.by_statement.find({database, fingerprint});
    return found != samples.by_statement.end() ? found->second : StatementSamples{};
}

void BeginInterval(const Capture& capture, uint32_t database, const Interval& interval) {
    Samples& samples = TheSamples();
    const std::lock_guard lock(samples.mutex);
    BelongTo(samples, capture);
    if (samples.intervals.size() >= kMostDatabases) {
        samples.intervals.clear();
    }
    samples.intervals[database] = interval;
}

std::optional<Interval> CurrentInterval(const Capture& capture, uint32_t database) {
    Samples& samples = TheSamples();
    const std::lock_guard lock(samples.mutex);
    BelongTo(samples, capture);
    const auto found = samples.intervals.find(database);
    return found != samples.intervals.end() ? std::optional(found->second) : std::nullopt;
}

}  // namespace upkeep::sqlite
