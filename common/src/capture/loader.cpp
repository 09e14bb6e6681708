// SPDX-License-Identifier: PostgreSQL
#include <cmath>

#include "packed.h"
#include "saved_format.h"
#include "upkeep/capture/histogram_bytes.h"
#include "upkeep/capture/saved_file.h"

namespace upkeep::capture {

namespace {

constexpr size_t kMostEndpoints = 65536;  // a file with more of them is none of ours
constexpr uint64_t kOperations = static_cast<uint64_t>(Operation::kOther) + 1;
constexpr uint64_t kFindingKinds = static_cast<uint64_t>(FindingKind::kRepeatedRead) + 1;

/// A time that may be shown.
int64_t UnpackTime(Unpacker& in) {
    return static_cast<int64_t>(in.Below(kMostSavedUs));
}

bool UnpackTotals(Unpacker& in, StatementTotals& totals) {
    for (uint64_t* count :
         {&totals.calls, &totals.errors, &totals.rows, &totals.total_ns, &totals.plan_ns,
          &totals.hit_blocks, &totals.read_blocks, &totals.temp_written_blocks, &totals.wal_bytes,
          &totals.full_scans, &totals.sorts, &totals.slow_calls, &totals.min_ns, &totals.max_ns,
          &totals.shift_ns}) {
        *count = in.Number();
    }
    totals.squares_ns2 = in.Real();
    totals.first_seen_us = UnpackTime(in);
    totals.last_seen_us = UnpackTime(in);
    return in.ok() && std::isfinite(totals.squares_ns2);
}

bool UnpackStatement(Unpacker& in, StatementSnapshot& statement) {
    statement.key.fingerprint = in.Signed();
    statement.key.database = in.Word();
    statement.key.user = in.Word();
    statement.key.endpoint = in.Word();
    statement.key.top_level = static_cast<uint32_t>(in.Below(2));
    statement.operation = static_cast<Operation>(in.Below(kOperations));
    statement.tables = in.Text(kMostTablesBytes);
    if (!UnpackTotals(in, statement.totals)) {
        return false;
    }
    Result<std::vector<BucketCount>> buckets = DecodeBuckets(in.Text(kMostSectionBytes));
    if (!in.ok() || !buckets.ok()) {
        return false;
    }
    statement.buckets = std::move(buckets).value();
    return true;
}

bool UnpackCounter(Unpacker& in, CounterSnapshot& counter) {
    counter.operation = static_cast<Operation>(in.Below(kOperations));
    counter.failed = in.Below(2) == 1;
    counter.table = in.Text(decltype(CounterRecord::table)::Room());
    counter.rows = in.Number();
    counter.total_ns = in.Number();
    for (uint64_t& bucket : counter.buckets) {
        bucket = in.Number();
    }
    return in.ok();
}

bool UnpackSlow(Unpacker& in, SlowStatement& slow) {
    SlowFields& fields = slow.fields;
    fields.ended_us = UnpackTime(in);
    fields.duration_ns = in.Number();
    fields.fingerprint = in.Signed();
    fields.rows = in.Number();
    fields.hit_blocks = in.Number();
    fields.read_blocks = in.Number();
    fields.database = in.Word();
    fields.user = in.Word();
    fields.endpoint = in.Word();
    fields.pid = static_cast<int32_t>(in.Word());
    for (std::string* text : {&slow.application_name, &slow.client_addr, &slow.error_code,
                              &slow.wait_event, &slow.query, &slow.plan}) {
        *text = in.Text(sizeof(SlowRecord));
    }
    return in.ok();
}

bool UnpackFinding(Unpacker& in, FindingSnapshot& finding) {
    finding.key.parent = in.Signed();
    finding.key.child = in.Signed();
    finding.key.database = in.Word();
    finding.key.user = in.Word();
    finding.key.endpoint = in.Word();
    finding.key.kind = static_cast<FindingKind>(in.Below(kFindingKinds));
    for (uint64_t* count : {&finding.totals.occurrences, &finding.totals.total_repeats,
                            &finding.totals.max_repeats, &finding.totals.total_ns}) {
        *count = in.Number();
    }
    finding.totals.last_seen_us = UnpackTime(in);
    return in.ok();
}

uint64_t OctavesOf(const StatementSnapshot& statement) {
    uint64_t octaves = 0;
    uint32_t last = UINT32_MAX;
    for (const BucketCount& entry : statement.buckets) {
        if (entry.bucket / kPageSteps != last) {
            last = entry.bucket / kPageSteps;
            ++octaves;
        }
    }
    return octaves;
}

uint64_t ChunksFor(size_t bytes) {
    return (bytes + TextChunk::kPayload - 1) / TextChunk::kPayload;
}

}  // namespace

Loader::Loader(Store& store)
    : store_(store),
      records_left_(store.limits().statements),
      pages_left_(store.limits().pages()),
      texts_left_(store.limits().texts()),
      chunks_left_(store.limits().chunks()),
      findings_left_(store.limits().findings) {}

void Loader::Feed(std::string_view bytes) {
    // At most a section is kept: what is complete is taken before more is added.
    while (WantsMore() && !bytes.empty()) {
        const std::string_view piece = bytes.substr(0, kMostSectionBytes);
        bytes.remove_prefix(piece.size());
        buffer_ += piece;
        if (!has_header_ && !TakeHeader()) {
            continue;
        }
        while (WantsMore() && TakeSection()) {
        }
    }
}

LoadResult Loader::Finish() {
    if (result_.problem.empty() && !is_done_) {
        result_.problem = "ends early, after " + std::to_string(consumed_) + " bytes";
    } else if (result_.problem.empty() && !buffer_.empty()) {
        result_.problem = "goes on after its end, at byte " + std::to_string(consumed_);
    }
    return result_;
}

bool Loader::TakeHeader() {
    const std::string_view seen = std::string_view(buffer_).substr(0, kSavedMagic.size());
    if (seen != kSavedMagic.substr(0, seen.size())) {
        result_.problem = "is not a file of saved statistics";
        return false;
    }
    if (buffer_.size() < kSavedHeaderBytes) {
        return false;
    }
    const uint32_t version = WordAt(buffer_, kSavedMagic.size());
    if (version != kSavedVersion) {
        result_.is_other_version = true;
        result_.problem = "has format " + std::to_string(version) + ", this version reads format " +
                          std::to_string(kSavedVersion);
        return false;
    }
    buffer_.erase(0, kSavedHeaderBytes);
    consumed_ = kSavedHeaderBytes;
    has_header_ = true;
    return true;
}

bool Loader::TakeSection() {
    if (buffer_.size() < kSectionHeadBytes) {
        return false;
    }
    const uint32_t bytes = WordAt(buffer_, 4);
    const std::string damaged = "is damaged at byte " + std::to_string(consumed_);
    if (bytes > kMostSectionBytes) {
        result_.problem = damaged;
        return false;
    }
    if (buffer_.size() < kSectionHeadBytes + bytes) {
        return false;
    }
    const std::string_view items = std::string_view(buffer_).substr(kSectionHeadBytes, bytes);
    const uint32_t sum = Crc32c(items, Crc32c(std::string_view(buffer_).substr(0, 8)));
    if (sum != WordAt(buffer_, 8) || !Apply(static_cast<SavedKind>(WordAt(buffer_, 0)), items)) {
        result_.problem = damaged;
        return false;
    }
    buffer_.erase(0, kSectionHeadBytes + bytes);
    consumed_ += kSectionHeadBytes + bytes;
    return true;
}

bool Loader::Apply(SavedKind kind, std::string_view items) {
    Unpacker in(items);
    switch (kind) {
        case SavedKind::kTimes:
            return LoadTimes(in);
        case SavedKind::kEndpoints:
            return LoadEndpoints(in);
        case SavedKind::kCounters:
            return LoadCounters(in);
        case SavedKind::kStatements:
            return LoadStatements(in);
        case SavedKind::kTexts:
            return LoadTexts(in);
        case SavedKind::kSlow:
            return LoadSlow(in);
        case SavedKind::kFindings:
            return LoadFindings(in);
        case SavedKind::kEnd:
            return LoadEnd(in);
    }
    return true;  // of a later version of the same format
}

bool Loader::LoadTimes(Unpacker& in) {
    const int64_t reset_us = UnpackTime(in);
    const int64_t saved_us = UnpackTime(in);
    if (!in.ok()) {
        return false;
    }
    store_.RestoreResetTime(reset_us);
    result_.saved_us = saved_us;
    return true;
}

bool Loader::LoadEndpoints(Unpacker& in) {
    std::vector<std::pair<uint32_t, std::string_view>> names;
    while (!in.AtEnd()) {
        const uint32_t id = in.Word();
        names.emplace_back(id, in.Text(kMostEndpointBytes));
    }
    if (!in.ok() || endpoints_.size() + names.size() > kMostEndpoints) {
        return false;
    }
    for (const auto& [id, name] : names) {
        endpoints_[id] =
            name == kOtherEndpoints ? EndpointNames::kOther : store_.endpoints().IdOf(name);
    }
    items_ += names.size();
    return true;
}

uint32_t Loader::EndpointOf(uint32_t saved) const {
    if (saved == EndpointNames::kNone) {
        return saved;
    }
    const auto known = endpoints_.find(saved);
    return known == endpoints_.end() ? EndpointNames::kOther : known->second;
}

bool Loader::LoadCounters(Unpacker& in) {
    std::vector<CounterSnapshot> counters;
    while (!in.AtEnd() && UnpackCounter(in, counters.emplace_back())) {
    }
    if (!in.ok()) {
        return false;
    }
    for (const CounterSnapshot& counter : counters) {
        store_.counters().AddSnapshot(counter);
    }
    items_ += counters.size();
    return true;
}

bool Loader::LoadStatements(Unpacker& in) {
    std::vector<StatementSnapshot> statements;
    while (!in.AtEnd()) {
        if (!UnpackStatement(in, statements.emplace_back())) {
            return false;
        }
    }
    if (!in.ok()) {
        return false;
    }
    for (StatementSnapshot& statement : statements) {
        RestoreStatement(statement);
    }
    items_ += statements.size();
    return true;
}

/// Those that did the most work come first, so none ever has to give way to a later one.
void Loader::RestoreStatement(StatementSnapshot& statement) {
    const uint64_t octaves = OctavesOf(statement);
    statement.key.endpoint = EndpointOf(statement.key.endpoint);
    if (records_left_ == 0 || octaves > pages_left_ || !store_.Restore(statement, {})) {
        ++result_.left_out;
        return;
    }
    --records_left_;
    pages_left_ -= octaves;
    ++result_.statements;
}

bool Loader::LoadTexts(Unpacker& in) {
    struct SavedText {
        int64_t fingerprint;
        uint32_t database;
        uint32_t user;
        std::string_view text;
    };
    std::vector<SavedText> texts;
    while (!in.AtEnd()) {
        SavedText& text = texts.emplace_back();
        text.fingerprint = in.Signed();
        text.database = in.Word();
        text.user = in.Word();
        text.text = in.Text(kMostTextBytes + kCut.size());
    }
    if (!in.ok()) {
        return false;
    }
    for (const SavedText& text : texts) {
        const uint64_t chunks = ChunksFor(text.text.size());
        if (texts_left_ == 0 || chunks > chunks_left_) {
            ++result_.left_out;
            continue;
        }
        --texts_left_;
        chunks_left_ -= chunks;
        store_.texts().Keep(text.database, text.fingerprint, text.text, text.user);
    }
    items_ += texts.size();
    return true;
}

bool Loader::LoadSlow(Unpacker& in) {
    std::vector<SlowStatement> slow;
    while (!in.AtEnd()) {
        if (!UnpackSlow(in, slow.emplace_back())) {
            return false;
        }
    }
    if (!in.ok()) {
        return false;
    }
    for (SlowStatement& statement : slow) {
        statement.fields.endpoint = EndpointOf(statement.fields.endpoint);
        store_.slow().Add(statement);
    }
    items_ += slow.size();
    return true;
}

bool Loader::LoadFindings(Unpacker& in) {
    std::vector<FindingSnapshot> findings;
    while (!in.AtEnd()) {
        if (!UnpackFinding(in, findings.emplace_back())) {
            return false;
        }
    }
    for (FindingSnapshot& finding : findings) {
        if (findings_left_ == 0) {
            ++result_.left_out;
            continue;
        }
        --findings_left_;
        finding.key.endpoint = EndpointOf(finding.key.endpoint);
        store_.findings().Add(finding.key, finding.totals);
    }
    items_ += findings.size();
    return true;
}

bool Loader::LoadEnd(Unpacker& in) {
    is_done_ = in.Number() == items_ && in.ok() && in.AtEnd();
    return is_done_;
}

}  // namespace upkeep::capture
