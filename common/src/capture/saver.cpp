// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <unordered_set>

#include "packed.h"
#include "saved_format.h"
#include "upkeep/capture/histogram_bytes.h"
#include "upkeep/capture/plan_json.h"
#include "upkeep/capture/saved_file.h"
#include "upkeep/capture/unfinished_plan.h"

namespace upkeep::capture {

namespace {

constexpr size_t kFullSection = 32 * 1024;  // one item more never reaches kMostSectionBytes
static_assert(kFullSection + kMostTextBytes + 1024 < kMostSectionBytes);

bool IsFull(const Packer& out) {
    return out.size() >= kFullSection;
}

void PackTotals(Packer& out, const StatementTotals& totals) {
    for (const uint64_t count :
         {totals.calls, totals.errors, totals.rows, totals.total_ns, totals.plan_ns,
          totals.hit_blocks, totals.read_blocks, totals.temp_written_blocks, totals.wal_bytes,
          totals.full_scans, totals.sorts, totals.slow_calls, totals.min_ns, totals.max_ns,
          totals.shift_ns}) {
        out.Number(count);
    }
    out.Real(totals.squares_ns2);
    out.Signed(totals.first_seen_us);
    out.Signed(totals.last_seen_us);
}

void PackStatement(Packer& out, const StatementSnapshot& statement) {
    out.Signed(statement.key.fingerprint);
    out.Number(statement.key.database);
    out.Number(statement.key.user);
    out.Number(statement.key.endpoint);
    out.Number(statement.key.top_level);
    out.Number(static_cast<uint32_t>(statement.operation));
    out.Text(statement.tables);
    PackTotals(out, statement.totals);
    out.Text(EncodeBuckets(statement.buckets));
}

void PackCounter(Packer& out, const CounterSnapshot& counter) {
    out.Number(static_cast<uint32_t>(counter.operation));
    out.Number(counter.failed ? 1 : 0);
    out.Text(counter.table);
    out.Number(counter.rows);
    out.Number(counter.total_ns);
    for (const uint64_t bucket : counter.buckets) {
        out.Number(bucket);
    }
}

/// The plan without literals, also where capture_parameters kept them in memory. A packed plan has
/// none: it is words of ours and numbers.
std::string PlanForFile(const std::string& plan) {
    const bool is_plain = IsUnfinished(plan) || plan.starts_with("{\"not_kept\"");
    return is_plain ? plan : CompactPlan(plan, false);
}

void PackSlow(Packer& out, const SlowStatement& slow) {
    const SlowFields& fields = slow.fields;
    out.Signed(fields.ended_us);
    out.Number(fields.duration_ns);
    out.Signed(fields.fingerprint);
    out.Number(fields.rows);
    out.Number(fields.hit_blocks);
    out.Number(fields.read_blocks);
    out.Number(fields.database);
    out.Number(fields.user);
    out.Number(fields.endpoint);
    out.Number(static_cast<uint32_t>(fields.pid));
    out.Text(slow.application_name);
    out.Text(slow.client_addr);
    out.Text(slow.error_code);
    out.Text(slow.wait_event);
    out.Text(slow.query);
    out.Text(PlanForFile(slow.plan));
}

void PackFinding(Packer& out, const FindingSnapshot& finding) {
    out.Signed(finding.key.parent);
    out.Signed(finding.key.child);
    out.Number(finding.key.database);
    out.Number(finding.key.user);
    out.Number(finding.key.endpoint);
    out.Number(static_cast<uint32_t>(finding.key.kind));
    out.Number(finding.totals.occurrences);
    out.Number(finding.totals.total_repeats);
    out.Number(finding.totals.max_repeats);
    out.Number(finding.totals.total_ns);
    out.Signed(finding.totals.last_seen_us);
}

}  // namespace

Saver::Saver(Store& store, int64_t now_us)
    : store_(store),
      now_us_(now_us),
      records_(store.statements().ByWork()),
      counters_(store.counters().Snapshots()),
      findings_(store.findings().Snapshots()) {
    std::sort(findings_.begin(), findings_.end(), [](const auto& left, const auto& right) {
        return left.totals.total_repeats > right.totals.total_repeats;
    });
    texts_ = TextOwners();
    slow_until_ = store.slow().Tickets();
    slow_from_ = slow_until_ - std::min<uint64_t>(slow_until_, store.slow().capacity());
    FindEndpoints();
}

Saver::~Saver() = default;

std::string Saver::Next() {
    if (step_ == 0) {
        ++step_;
        return SavedHeader();
    }
    struct Part {
        SavedKind kind;
        std::string (Saver::*write)();
    };
    constexpr Part kParts[] = {
        {SavedKind::kTimes, &Saver::Times},       {SavedKind::kEndpoints, &Saver::Endpoints},
        {SavedKind::kCounters, &Saver::Counters}, {SavedKind::kStatements, &Saver::Statements},
        {SavedKind::kTexts, &Saver::Texts},       {SavedKind::kSlow, &Saver::SlowOnes},
        {SavedKind::kFindings, &Saver::Findings}, {SavedKind::kEnd, &Saver::End},
    };
    while (static_cast<size_t>(step_) <= std::size(kParts)) {
        const Part& part = kParts[step_ - 1];
        const std::string items = (this->*part.write)();
        if (!items.empty()) {
            return SectionOf(part.kind, items);
        }
        ++step_;
        at_ = 0;
    }
    return {};
}

std::string Saver::Times() {
    if (at_++ > 0) {
        return {};
    }
    Packer out;
    out.Signed(store_.ResetUs());
    out.Signed(now_us_);
    return out.bytes();
}

void Saver::FindEndpoints() {
    // In the order of use, for a dictionary that is smaller when they are loaded.
    std::unordered_set<uint32_t> known{EndpointNames::kNone};
    const auto note = [&](uint32_t endpoint) {
        if (known.insert(endpoint).second) {
            endpoints_.push_back(endpoint);
        }
    };
    for (const uint32_t record : records_) {
        if (const auto key = store_.statements().KeyAt(record)) {
            note(key->endpoint);
        }
    }
    for (uint64_t ticket = slow_from_; ticket < slow_until_; ++ticket) {
        if (const auto slow = store_.slow().ReadTicket(ticket)) {
            note(slow->fields.endpoint);
        }
    }
    for (const FindingSnapshot& finding : findings_) {
        note(finding.key.endpoint);
    }
}

std::string Saver::Endpoints() {
    Packer out;
    for (; at_ < endpoints_.size() && !IsFull(out); ++at_) {
        out.Number(endpoints_[at_]);
        out.Text(store_.endpoints().NameOf(endpoints_[at_]));
        ++items_;
    }
    return out.bytes();
}

std::string Saver::Counters() {
    Packer out;
    for (; at_ < counters_.size() && !IsFull(out); ++at_) {
        PackCounter(out, counters_[at_]);
        ++items_;
    }
    return out.bytes();
}

std::string Saver::Statements() {
    Packer out;
    for (; at_ < records_.size() && !IsFull(out); ++at_) {
        if (const auto statement = store_.statements().SnapshotAt(records_[at_])) {
            PackStatement(out, *statement);
            ++items_;
        }
    }
    return out.bytes();
}

/// Statements of other endpoints and levels share a text, and a finding's parent may be no
/// statement that is counted (the query of a cursor).
std::vector<StatementKey> Saver::TextOwners() {
    std::vector<StatementKey> owners;
    std::unordered_set<uint64_t> known;
    const auto note = [&](int64_t fingerprint, uint32_t database, uint32_t user) {
        const StatementKey owner{.fingerprint = fingerprint, .database = database, .user = user};
        if (known.insert(HashOf(owner)).second) {
            owners.push_back(owner);
        }
    };
    for (const uint32_t record : records_) {
        if (const auto key = store_.statements().KeyAt(record)) {
            note(key->fingerprint, key->database, key->user);
        }
    }
    for (const FindingSnapshot& finding : findings_) {
        note(finding.key.parent, finding.key.database, finding.key.user);
        note(finding.key.child, finding.key.database, finding.key.user);
    }
    return owners;
}

std::string Saver::Texts() {
    Packer out;
    for (; at_ < texts_.size() && !IsFull(out); ++at_) {
        const StatementKey& owner = texts_[at_];
        const auto text = store_.texts().Read(owner.database, owner.fingerprint, owner.user);
        if (!text) {
            continue;
        }
        out.Signed(owner.fingerprint);
        out.Number(owner.database);
        out.Number(owner.user);
        out.Text(*text);
        ++items_;
    }
    return out.bytes();
}

std::string Saver::SlowOnes() {
    Packer out;
    for (; slow_from_ + at_ < slow_until_ && !IsFull(out); ++at_) {
        if (const auto slow = store_.slow().ReadTicket(slow_from_ + at_)) {
            PackSlow(out, *slow);
            ++items_;
        }
    }
    return out.bytes();
}

std::string Saver::Findings() {
    Packer out;
    for (; at_ < findings_.size() && !IsFull(out); ++at_) {
        PackFinding(out, findings_[at_]);
        ++items_;
    }
    return out.bytes();
}

std::string Saver::End() {
    if (at_++ > 0) {
        return {};
    }
    Packer out;
    out.Number(items_);
    return out.bytes();
}

}  // namespace upkeep::capture
