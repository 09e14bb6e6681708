// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/n_plus_one.h"

#include <algorithm>
#include <bit>

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

/// Calls `visit` with the number of each bit that is set, from the lowest.
template <typename Visit>
void ForEachBit(uint32_t bits, Visit visit) {
    for (; bits != 0; bits &= bits - 1) {
        visit(static_cast<uint32_t>(std::countr_zero(bits)));
    }
}

}  // namespace

bool Detector::WantsValues(const Finished& statement) const {
    if (!is_active_ || statement.operation != Operation::kSelect) {
        return false;
    }
    const uint32_t child = FindChild(statement.fingerprint);
    if (child == kNone) {
        return false;
    }
    for (uint32_t left = live_; left != 0; left &= left - 1) {
        const auto source = static_cast<uint32_t>(std::countr_zero(left));
        const Pair pair = PairOf(child, source);
        if ((pair.since != 0 || pair.most > 1) && pair.runs < kRunsPerRow * sources_[source].rows) {
            return true;
        }
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
    for (uint32_t i = 0; i < child_count_; ++i) {
        Close(children_[i], port);
    }
    child_count_ = 0;
    live_ = 0;
    empty_ = 0;
    stale_at_ = UINT64_MAX;
    endpoint_ = 0;
}

uint64_t Detector::StaleAt(const Source& source) {
    return source.ran_at + kStaleAtLeast + kStalePerRow * source.rows;
}

void Detector::DropStale(FindingPort& port) {
    if (number_ <= stale_at_) {
        return;
    }
    ForEachBit(live_, [&](uint32_t i) {
        if (number_ > StaleAt(sources_[i])) {
            Forget(i, port);
        }
    });
    stale_at_ = UINT64_MAX;
    ForEachBit(live_, [&](uint32_t i) { stale_at_ = std::min(stale_at_, StaleAt(sources_[i])); });
}

/// The source's place is free; its children start anew with those that are left.
void Detector::Forget(uint32_t source, FindingPort& port) {
    sources_[source] = {};
    sources_[source].epoch = ++epochs_;
    live_ &= ~(1U << source);
    empty_ &= ~(1U << source);
    for (uint32_t i = 0; i < child_count_; ++i) {
        if (children_[i].is_told && children_[i].parent == source) {
            StartAnew(children_[i], port);
        }
    }
}

Detector::Pair Detector::PairOf(uint32_t child, uint32_t source) const {
    const Source& from = sources_[source];
    const Child& what = children_[child];
    if (from.fingerprint == fingerprints_[child]) {
        return {};
    }
    if (what.runs > 1) {
        Pair pair = pairs_[child][source];
        if (pair.epoch != from.epoch) {
            pair = {.epoch = from.epoch};
        }
        if (pair.at_run != from.runs) {
            pair.at_run = from.runs;
            pair.since = 0;
        }
        return pair;
    }
    Pair pair = {.epoch = from.epoch, .at_run = from.runs};
    if (what.runs == 1 && what.ran_at > from.met_at) {
        pair.ns = what.first_ns;
        pair.runs = 1;
        pair.since = what.ran_at > from.began_at ? 1 : 0;
        pair.most = 1;
        pair.is_beyond = (what.first_empty >> source & 1) != 0;
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
    child.values = before.values;
    child.has_values = before.has_values;
    child.writes = before.writes;
    child.ran_at = before.ran_at;
    child.text = before.text;
    child.is_asked = before.is_asked;
}

uint32_t Detector::FindChild(int64_t fingerprint) const {
    if (found_ < child_count_ && fingerprints_[found_] == fingerprint) {
        return found_;
    }
    for (uint32_t i = 0; i < child_count_; ++i) {
        if (fingerprints_[i] == fingerprint) {
            found_ = i;
            return i;
        }
    }
    return kNone;
}

uint32_t Detector::FindSource(int64_t fingerprint) const {
    for (uint32_t left = live_; left != 0; left &= left - 1) {
        const auto source = static_cast<uint32_t>(std::countr_zero(left));
        if (sources_[source].fingerprint == fingerprint) {
            return source;
        }
    }
    return kNone;
}

uint32_t Detector::ChildOf(int64_t fingerprint, FindingPort& port) {
    uint32_t place = FindChild(fingerprint);
    if (place != kNone) {
        return place;
    }
    if (child_count_ < kChildren) {
        place = child_count_++;
    } else {
        place = 0;
        for (uint32_t i = 1; i < kChildren; ++i) {
            place = children_[i].ran_at < children_[place].ran_at ? i : place;
        }
        Close(children_[place], port);
    }
    children_[place] = {};
    fingerprints_[place] = fingerprint;
    found_ = place;
    return place;
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
    const uint32_t place = ChildOf(statement.fingerprint, port);
    Child& child = children_[place];
    CompareValues(child, values, port);
    if (child.runs == 0) {
        child.first_rows = statement.rows;
        child.first_ns = statement.duration_ns;
        child.first_empty = empty_;
    } else {
        child.is_uneven = child.is_uneven || child.last_rows != child.first_rows;
        RunPairs(place, statement);
    }
    child.writes = writes_;
    child.ran_at = number_;
    ++child.runs;
    child.pauses += was_paused ? 1 : 0;
    child.last_rows = statement.rows;
    if (child.is_told || (child.steps != 0 && child.runs >= threshold)) {
        Judge(place, statement, threshold, port);
    }
}

/// The second run and those after it: what the first left undone is done with it.
void Detector::RunPairs(uint32_t child, const Finished& statement) {
    ForEachBit(live_, [&](uint32_t i) {
        if (sources_[i].fingerprint == statement.fingerprint) {
            return;
        }
        Pair pair = PairOf(child, i);
        ++pair.runs;
        ++pair.since;
        pair.most = std::max(pair.most, pair.since);
        pair.ns += statement.duration_ns;
        pair.is_beyond = pair.is_beyond || pair.since > sources_[i].last_rows;
        pairs_[child][i] = pair;
    });
}

/// Does it run again and again under another source? A part is noted before its run is.
bool Detector::IsNested(int64_t fingerprint, bool is_part) const {
    const uint32_t child = FindChild(fingerprint);
    bool is_nested = false;
    if (child != kNone) {
        ForEachBit(live_, [&](uint32_t i) {
            const Pair pair = PairOf(child, i);
            is_nested = is_nested || pair.most > 1 || (is_part && pair.since > 0);
        });
    }
    return is_nested;
}

/// A free place, or that of the source that nothing has used for the longest time.
uint32_t Detector::PlaceForSource(FindingPort& port) {
    auto place = static_cast<uint32_t>(std::countr_one(live_));
    if (place >= kSources) {
        place = 0;
        for (uint32_t i = 1; i < kSources; ++i) {
            place = sources_[i].used_at < sources_[place].used_at ? i : place;
        }
    }
    Forget(place, port);
    return place;
}

void Detector::RunSource(const Finished& statement, bool is_part, FindingPort& port) {
    uint32_t place = FindSource(statement.fingerprint);
    if (place == kNone) {
        if (statement.rows < (is_part ? 1 : kFewestRows)) {
            return;
        }
        place = PlaceForSource(port);
    } else if (sources_[place].is_open) {
        Source& source = sources_[place];
        source.is_open = is_part;
        source.rows += is_part ? statement.rows : 0;
        source.last_rows += is_part ? statement.rows : 0;
        source.ran_at = number_;
        source.used_at = number_;
        NoteEmpty(place);
        return;
    } else if (!IsNested(statement.fingerprint, is_part)) {
        Forget(place, port);  // the next request, or page: what follows is another occurrence
    }
    Source& source = sources_[place];
    is_active_ = true;
    live_ |= 1U << place;
    source.fingerprint = statement.fingerprint;
    source.rows += statement.rows;
    source.last_rows = statement.rows;
    source.is_open = is_part;
    source.met_at = source.runs == 0 ? number_ : source.met_at;
    source.began_at = number_;
    source.ran_at = number_;
    source.used_at = number_;
    ++source.runs;
    NoteEmpty(place);
    stale_at_ = std::min(stale_at_, StaleAt(source));
}

void Detector::NoteEmpty(uint32_t source) {
    const uint32_t bit = 1U << source;
    empty_ = sources_[source].last_rows == 0 ? empty_ | bit : empty_ & ~bit;
}

/// How well this source explains the child's runs; 0: not at all, above 1: within its rows.
double Detector::Fit(uint32_t child, uint32_t source, uint32_t threshold) const {
    const Source& from = sources_[source];
    const Pair pair = PairOf(child, source);
    const uint64_t runs = pair.runs;
    if (runs < threshold || runs > kRunsPerRow * from.rows ||
        (children_[child].text.has_list && runs * 4 <= from.rows)) {
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

uint32_t Detector::BestSource(uint32_t place, uint32_t threshold) const {
    const Child& child = children_[place];
    const bool is_page = child.text.is_page || (child.text.may_be_page && !child.is_uneven);
    if (child.steps == 0 || child.pauses * 2 > child.runs ||
        (child.is_asked && (!child.text.reads_table || is_page))) {
        return kNone;
    }
    uint32_t best = kNone;
    double best_fit = 0;
    ForEachBit(live_, [&](uint32_t i) {
        const double fit = Fit(place, i, threshold);
        const bool is_nearer =
            best != kNone && fit == best_fit && sources_[i].ran_at > sources_[best].ran_at;
        if (fit > best_fit || (fit > 0 && is_nearer)) {
            best = i;
            best_fit = fit;
        }
    });
    return best;
}

void Detector::Judge(uint32_t place, const Finished& statement, uint32_t threshold,
                     FindingPort& port) {
    Child& child = children_[place];
    uint32_t best = BestSource(place, threshold);
    if (best != kNone && !child.is_asked) {
        child.text = port.TextOf(statement);
        child.is_asked = true;
        best = BestSource(place, threshold);
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
        const Pair pair = PairOf(place, best);
        added.occurrences = 1;
        added.total_repeats = pair.runs;
        added.total_ns = pair.ns;
        child.told = {};
        child.parent = best;
        child.key = {.parent = sources_[best].fingerprint,
                     .child = statement.fingerprint,
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
