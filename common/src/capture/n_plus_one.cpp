// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/n_plus_one.h"

#include <algorithm>
#include <iterator>

namespace upkeep::capture {

namespace {

constexpr uint64_t kFewestRows = 2;     // of a source
constexpr uint32_t kRunsPerRow = 2;     // of a child, at most
constexpr uint64_t kStalePerRow = 16;   // statements after which a source is no longer one
constexpr uint64_t kStaleAtLeast = 64;  // … and at least these
constexpr uint32_t kNone = UINT32_MAX;

bool IsWrite(Operation operation) {
    return operation == Operation::kInsert || operation == Operation::kUpdate ||
           operation == Operation::kDelete || operation == Operation::kMerge;
}

}  // namespace

bool Detector::WantsValues(const Finished& statement) const {
    if (!is_active_ || statement.operation != Operation::kSelect) {
        return false;
    }
    for (const Child& child : children_) {
        if (child.ran_at == 0 || child.fingerprint != statement.fingerprint) {
            continue;
        }
        for (uint32_t i = 0; i < kSources; ++i) {
            if (sources_[i].runs == 0) {
                continue;
            }
            const Pair pair = PairOf(child, i);
            if ((pair.since != 0 || pair.most > 1) && pair.runs < kRunsPerRow * sources_[i].rows) {
                return true;
            }
        }
        return false;
    }
    return false;
}

/// Is this statement in another scope than the one before?
void Detector::Enter(const Finished& statement, FindingPort& port) {
    const int64_t began_us =
        statement.ended_us - static_cast<int64_t>(statement.duration_ns / 1000);
    const bool is_other_request =
        statement.endpoint != 0 && endpoint_ != 0 && statement.endpoint != endpoint_;
    if (is_active_ && (is_other_request || began_us - ended_us_ > kScopePauseUs)) {
        EndScope(port);
    }
    if (!is_active_ || statement.endpoint != 0) {
        endpoint_ = statement.endpoint;
    }
}

void Detector::Note(const Finished& statement, std::optional<uint64_t> values, uint32_t threshold,
                    FindingPort& port) {
    Enter(statement, port);
    const int64_t began_us =
        statement.ended_us - static_cast<int64_t>(statement.duration_ns / 1000);
    const bool was_paused = began_us - ended_us_ > kPauseUs;
    ended_us_ = statement.ended_us;
    ++number_;
    if (IsWrite(statement.operation)) {
        NoteWrite();
    }
    if (statement.operation != Operation::kSelect) {
        return;
    }
    if (is_active_) {
        DropStale(port);
        RunChild(statement, values, was_paused, threshold, port);
    }
    RunSource(statement, false, port);
}

void Detector::NotePart(const Finished& statement, FindingPort& port) {
    Enter(statement, port);
    ended_us_ = std::max(ended_us_, statement.ended_us);
    ++number_;
    RunSource(statement, true, port);
}

void Detector::EndScope(FindingPort& port) {
    if (!is_active_) {
        return;
    }
    is_active_ = false;
    for (Child& child : children_) {
        if (child.ran_at != 0) {
            Close(child, port);
            child = {};
        }
    }
    for (Source& source : sources_) {
        source = {};
    }
    endpoint_ = 0;
}

void Detector::DropStale(FindingPort& port) {
    for (uint32_t i = 0; i < kSources; ++i) {
        const Source& source = sources_[i];
        if (source.runs != 0 &&
            number_ - source.ran_at > kStaleAtLeast + kStalePerRow * source.rows) {
            Forget(i, port);
        }
    }
}

/// The source's place is free; its children start anew with those that are left.
void Detector::Forget(uint32_t source, FindingPort& port) {
    sources_[source] = {};
    sources_[source].epoch = ++epochs_;
    for (Child& child : children_) {
        if (child.is_told && child.parent == source) {
            StartAnew(child, port);
        }
    }
}

Detector::Pair Detector::PairOf(const Child& child, uint32_t source) const {
    Pair pair = child.pairs[source];
    if (pair.epoch != sources_[source].epoch) {
        pair = {.epoch = sources_[source].epoch};
    }
    if (pair.at_run != sources_[source].runs) {
        pair.at_run = sources_[source].runs;
        pair.since = 0;
    }
    return pair;
}

void Detector::Close(Child& child, FindingPort& port) {
    if (child.is_told) {
        port.Add(child.key, {.occurrences = 0,
                             .total_repeats = 0,
                             .max_repeats = child.told.total_repeats,
                             .total_ns = 0,
                             .last_seen_us = child.told.last_seen_us});
        child.is_told = false;
    }
}

void Detector::StartAnew(Child& child, FindingPort& port) {
    Close(child, port);
    const Child before = child;
    child = {};
    child.fingerprint = before.fingerprint;
    child.values = before.values;
    child.has_values = before.has_values;
    child.writes = before.writes;
    child.ran_at = before.ran_at;
    child.text = before.text;
    child.is_asked = before.is_asked;
}

Detector::Child& Detector::ChildOf(const Finished& statement, FindingPort& port) {
    Child* oldest = &children_[0];
    for (Child& child : children_) {
        if (child.ran_at != 0 && child.fingerprint == statement.fingerprint) {
            return child;
        }
        if (child.ran_at < oldest->ran_at) {
            oldest = &child;
        }
    }
    Close(*oldest, port);
    *oldest = {};
    oldest->fingerprint = statement.fingerprint;
    return *oldest;
}

void Detector::CompareValues(Child& child, std::optional<uint64_t> values, FindingPort& port) {
    if (!values) {
        return;
    }
    if (child.has_values && *values == child.values && child.writes != writes_) {
        StartAnew(child, port);  // reading again what may have been written
    } else if (child.has_values) {
        ++child.steps;
        child.changes += *values != child.values ? 1 : 0;
    }
    child.values = *values;
    child.has_values = true;
}

void Detector::RunChild(const Finished& statement, std::optional<uint64_t> values, bool was_paused,
                        uint32_t threshold, FindingPort& port) {
    Child& child = ChildOf(statement, port);
    CompareValues(child, values, port);
    child.writes = writes_;
    child.ran_at = number_;
    ++child.runs;
    child.pauses += was_paused ? 1 : 0;
    if (child.runs == 1) {
        child.first_rows = statement.rows;
    } else if (child.last_rows != child.first_rows) {
        child.is_uneven = true;
    }
    child.last_rows = statement.rows;
    for (uint32_t i = 0; i < kSources; ++i) {
        if (sources_[i].runs == 0 || sources_[i].fingerprint == statement.fingerprint) {
            continue;
        }
        Pair& pair = child.pairs[i];
        pair = PairOf(child, i);
        ++pair.runs;
        ++pair.since;
        pair.most = std::max(pair.most, pair.since);
        pair.ns += statement.duration_ns;
        pair.is_beyond = pair.is_beyond || pair.since > sources_[i].last_rows;
    }
    Judge(child, statement, threshold, port);
}

/// Does it run again and again under another source? A part is noted before its run is.
bool Detector::IsNested(int64_t fingerprint, bool is_part) const {
    for (const Child& child : children_) {
        if (child.ran_at == 0 || child.fingerprint != fingerprint) {
            continue;
        }
        for (uint32_t i = 0; i < kSources; ++i) {
            const Pair pair = PairOf(child, i);
            if (sources_[i].runs != 0 && (pair.most > 1 || (is_part && pair.since > 0))) {
                return true;
            }
        }
        return false;
    }
    return false;
}

uint32_t Detector::SourceOf(int64_t fingerprint, FindingPort& port) {
    uint32_t oldest = 0;
    for (uint32_t i = 0; i < kSources; ++i) {
        if (sources_[i].runs != 0 && sources_[i].fingerprint == fingerprint) {
            return i;
        }
        if (sources_[i].used_at < sources_[oldest].used_at) {
            oldest = i;
        }
    }
    Forget(oldest, port);
    return oldest;
}

void Detector::RunSource(const Finished& statement, bool is_part, FindingPort& port) {
    const auto known =
        std::find_if(std::begin(sources_), std::end(sources_), [&](const Source& source) {
            return source.runs != 0 && source.fingerprint == statement.fingerprint;
        });
    const bool is_known = known != std::end(sources_);
    if (is_known && known->is_open) {
        known->is_open = is_part;
        known->rows += is_part ? statement.rows : 0;
        known->last_rows += is_part ? statement.rows : 0;
        known->ran_at = number_;
        known->used_at = number_;
        return;
    }
    if (!is_known && statement.rows < (is_part ? 1 : kFewestRows)) {
        return;
    }
    const uint32_t place = SourceOf(statement.fingerprint, port);
    Source& source = sources_[place];
    if (is_known && !IsNested(statement.fingerprint, is_part)) {
        Forget(place, port);  // the next request, or page: what follows is another occurrence
    }
    is_active_ = true;
    source.fingerprint = statement.fingerprint;
    source.rows += statement.rows;
    source.last_rows = statement.rows;
    source.is_open = is_part;
    source.ran_at = number_;
    source.used_at = number_;
    ++source.runs;
}

/// How well this source explains the child's runs; 0: not at all, above 1: within its rows.
double Detector::Fit(const Child& child, uint32_t source, uint32_t threshold) const {
    const Source& from = sources_[source];
    if (from.runs == 0) {
        return 0;
    }
    const Pair pair = PairOf(child, source);
    const uint64_t runs = pair.runs;
    if (runs < threshold || runs > kRunsPerRow * from.rows ||
        (child.text.has_list && runs * 4 <= from.rows)) {
        return 0;
    }
    if (from.runs > 1) {
        const bool is_inside = pair.most > 1 && !pair.is_beyond;
        const bool is_collected = pair.since == pair.runs && runs <= from.rows;  // all, then each
        if (runs * 2 < from.rows || !(is_inside || is_collected)) {
            return 0;
        }
    }
    const auto ran = static_cast<double>(runs);
    const auto rows = static_cast<double>(from.rows);
    return runs <= from.rows ? 1 + ran / rows : rows / ran;
}

uint32_t Detector::BestSource(const Child& child, uint32_t threshold) const {
    const bool is_page = child.text.is_page || (child.text.may_be_page && !child.is_uneven);
    if (child.steps == 0 || child.pauses * 2 > child.runs ||
        (child.is_asked && (!child.text.reads_table || is_page))) {
        return kNone;
    }
    uint32_t best = kNone;
    double best_fit = 0;
    for (uint32_t i = 0; i < kSources; ++i) {
        const double fit = Fit(child, i, threshold);
        const bool is_nearer =
            best != kNone && fit == best_fit && sources_[i].ran_at > sources_[best].ran_at;
        if (fit > best_fit || (fit > 0 && is_nearer)) {
            best = i;
            best_fit = fit;
        }
    }
    return best;
}

void Detector::Judge(Child& child, const Finished& statement, uint32_t threshold,
                     FindingPort& port) {
    uint32_t best = BestSource(child, threshold);
    if (best != kNone && !child.is_asked) {
        child.text = port.TextOf(statement);
        child.is_asked = true;
        best = BestSource(child, threshold);
    }
    const FindingKind kind =
        child.changes * 2 >= child.steps ? FindingKind::kNPlusOne : FindingKind::kRepeatedRead;
    const bool is_same = child.is_told && best == child.parent && kind == child.key.kind;
    if (child.is_told && !is_same) {
        port.TakeBack(child.key, child.told);
        child.is_told = false;
    }
    if (best == kNone) {
        return;
    }
    sources_[best].used_at = number_;
    FindingTotals added{.occurrences = 0,
                        .total_repeats = 1,
                        .max_repeats = 0,
                        .total_ns = statement.duration_ns,
                        .last_seen_us = statement.ended_us};
    if (!is_same) {
        const Pair pair = PairOf(child, best);
        added.occurrences = 1;
        added.total_repeats = pair.runs;
        added.total_ns = pair.ns;
        child.told = {};
        child.parent = best;
        child.key = {.parent = sources_[best].fingerprint,
                     .child = child.fingerprint,
                     .database = 0,
                     .user = statement.user,
                     .endpoint = statement.endpoint,
                     .kind = kind};
        child.is_told = true;
    }
    port.Add(child.key, added);
    child.told.occurrences += added.occurrences;
    child.told.total_repeats += added.total_repeats;
    child.told.total_ns += added.total_ns;
    child.told.last_seen_us = added.last_seen_us;
}

}  // namespace upkeep::capture
