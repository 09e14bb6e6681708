// SPDX-License-Identifier: PostgreSQL
#include "recorder.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "endpoint.h"
#include "hook_n_plus_one.h"
#include "pg.h"
#include "settings.h"
#include "upkeep/capture/normalize.h"
#include "upkeep/capture/not_executed.h"
#include "upkeep/capture/plan_json.h"
#include "upkeep/capture/samples.h"
#include "upkeep/capture/store_findings.h"

extern "C" {
#include "parser/parser.h"
}

namespace upkeep::pg {

namespace {

using capture::Execution;
using capture::StatementKey;

/// Runs a body that may run out of memory; what it cannot do is counted, nothing more.
template <typename Body>
auto Safely(Body body) noexcept -> decltype(body()) {
    try {
        return body();
    } catch (const std::exception&) {
        CountOwnError();
        return decltype(body())();
    }
}

struct PlanningTime {
    uint64_t fingerprint = 0;
    Oid user = InvalidOid;
    uint32_t endpoint = 0;
    bool top_level = false;
    uint64_t ns = 0;
};
PlanningTime pending_planning;  // of the statement planned last, until it starts

/// Of the text kept last, which nearly always is that of the statement counted next.
struct LastText {
    int64_t fingerprint = 0;
    uint32_t user = 0;
    bool names_us = false;
};
LastText last_text;
capture::SampleClock sample_clock;

capture::MaskOptions Options(int highest_parameter) {
    return {.dialect = capture::SqlDialect::kPostgres,
            .backslash = !standard_conforming_strings,
            .first_number = highest_parameter + 1};
}

std::string Masked(const SourceText& text) {
    const std::string_view source(text.source, static_cast<size_t>(text.length));
    if (text.offsets == nullptr) {
        return capture::MaskLiterals(source, Options(text.highest_parameter));
    }
    std::vector<int> offsets(text.offsets, text.offsets + text.offset_count);
    std::sort(offsets.begin(), offsets.end());
    offsets.erase(std::unique(offsets.begin(), offsets.end()), offsets.end());
    offsets.erase(offsets.begin(), std::lower_bound(offsets.begin(), offsets.end(), 0));
    capture::MaskOptions options = Options(text.highest_parameter);
    options.notes = {text.notes, static_cast<size_t>(text.note_count)};
    return capture::ReplaceConstants(source, offsets, options);
}

/// Does a text without literals name something of our schema?
bool NamesOurSchema(std::string_view masked) {
    constexpr std::string_view kSchema = "upkeep";
    for (size_t at = masked.find(kSchema); at != std::string_view::npos;
         at = masked.find(kSchema, at + 1)) {
        const bool is_quoted = at > 0 && masked[at - 1] == '"';
        const bool is_word = at == 0 || is_quoted ||
                             (masked[at - 1] != '_' && masked[at - 1] != '.' &&
                              std::isalnum(static_cast<unsigned char>(masked[at - 1])) == 0);
        const std::string_view after = masked.substr(at + kSchema.size());
        if (is_word && after.substr(0, is_quoted ? 2 : 1) == (is_quoted ? "\"." : ".")) {
            return true;
        }
    }
    return false;
}

std::string KeptText(const StatementKey& key) {
    return SharedStore()->texts().Read(key.database, key.fingerprint, key.user).value_or("");
}

/// Is this statement upkeep's own business?
bool NamesUs(const StatementKey& key) {
    if (last_text.fingerprint == key.fingerprint && last_text.user == key.user) {
        return last_text.names_us;
    }
    return NamesOurSchema(KeptText(key));
}

bool Keep(uint64_t fingerprint, Oid user, std::string_view text) {
    last_text = {static_cast<int64_t>(fingerprint), user, NamesOurSchema(text)};
    return SharedStore()->texts().Keep(MyDatabaseId, static_cast<int64_t>(fingerprint), text, user);
}

std::string TextOrEmpty(const char* text) {
    return text == nullptr ? std::string() : std::string(text);
}

}  // namespace

StatementKey KeyFor(uint64_t fingerprint, bool top_level, Oid user, uint32_t endpoint) noexcept {
    return {.fingerprint = static_cast<int64_t>(fingerprint),
            .database = MyDatabaseId,
            .user = user,
            .endpoint = endpoint,
            .top_level = top_level ? 1U : 0U};
}

bool CountKnown(const StatementKey& key, const Execution& execution) noexcept {
    return SharedStore()->Record(BackendStatements(), key, execution);
}

bool CountNew(const StatementKey& key, capture::Operation operation, const char* tables,
              const Execution& execution) noexcept {
    return Safely([&] {
        if (NamesUs(key)) {
            return false;  // who asks us is not part of the workload; asked again, it is new again
        }
        capture::StatementInfo info;
        info.operation = operation;
        info.tables = tables;
        SharedStore()->RecordNew(BackendStatements(), key, info, execution);
        return true;
    });
}

void CountNotExecuted(const char* sqlstate, Oid user) noexcept {
    const int64_t fingerprint = capture::FingerprintOfError(sqlstate);
    const StatementKey key =
        KeyFor(static_cast<uint64_t>(fingerprint), true, user, EndpointOfSetting());
    Execution execution;
    execution.is_error = true;
    execution.ended_us = GetCurrentTimestamp() + kPostgresEpochUs;
    if (!CountKnown(key, execution)) {
        CountNew(key, capture::Operation::kOther, "", execution);
    }
}

namespace {

bool IsPlanned(uint64_t fingerprint, bool top_level, Oid user) {
    return pending_planning.fingerprint == fingerprint && pending_planning.top_level == top_level &&
           pending_planning.user == user;
}

[[gnu::noinline]] void AddPlanning(const PlanningTime& planning) {
    SharedStore()->AddPlanning(
        BackendStatements(),
        KeyFor(planning.fingerprint, planning.top_level, planning.user, planning.endpoint),
        planning.ns);
}

}  // namespace

void CountPlanning(uint64_t fingerprint, bool top_level, Oid user, uint32_t endpoint,
                   uint64_t ns) noexcept {
    if (pending_planning.ns != 0) {
        if (IsPlanned(fingerprint, top_level, user)) {
            ns += pending_planning.ns;
        } else {
            AddPlanning(pending_planning);
        }
    }
    pending_planning = {fingerprint, user, endpoint, top_level, ns};
}

uint64_t TakePlanning(uint64_t fingerprint, bool top_level, Oid user) noexcept {
    if (pending_planning.ns == 0 || !IsPlanned(fingerprint, top_level, user)) {
        return 0;
    }
    const uint64_t ns = pending_planning.ns;
    pending_planning.ns = 0;
    return ns;
}

bool TextIsKept(uint64_t fingerprint, Oid user) noexcept {
    return SharedStore()->texts().Knows(BackendTexts(), MyDatabaseId,
                                        static_cast<int64_t>(fingerprint), user);
}

bool MayTextWait(const StatementKey& key, const char* text, int length) noexcept {
    if (!SharedStore()->texts().IsFull() ||
        std::string_view(text, static_cast<size_t>(length)).find("upkeep") !=
            std::string_view::npos) {
        return false;
    }
    last_text = {key.fingerprint, key.user, false};
    return true;
}

bool IsCounted(const StatementKey& key) noexcept {
    capture::StatementTable& statements = SharedStore()->statements();
    const capture::SlotRef found = statements.FindStatement(BackendStatements(), key);
    if (found) {
        statements.Unpin(found);
    }
    return static_cast<bool>(found);
}

bool MaySampleNow() noexcept {
    return !SharedStore()->samples().IsFull();
}

bool HasSample(const StatementKey& key) noexcept {
    return SharedStore()->samples().Has(key.database, key.fingerprint, key.user);
}

void KeepText(uint64_t fingerprint, Oid user, const SourceText& text) noexcept {
    Safely([&] {
        SharedStore()->Foresee(KeyFor(fingerprint, true, user, 0));
        return Keep(fingerprint, user, Masked(text));
    });
}

void KeepPlainText(uint64_t fingerprint, Oid user, const char* text) noexcept {
    Safely([&] { return Keep(fingerprint, user, text); });
}

void KeepSlow(const SlowInput& input) noexcept {
    Safely([&] {
        capture::SlowStatement slow;
        slow.fields = input.fields;
        slow.application_name = TextOrEmpty(input.application_name);
        slow.client_addr = TextOrEmpty(input.client_addr);
        slow.error_code = TextOrEmpty(input.error_code);
        slow.wait_event = TextOrEmpty(input.wait_event);
        slow.parameters = TextOrEmpty(input.parameters);
        slow.query = KeptText({.fingerprint = input.fields.fingerprint,
                               .database = input.fields.database,
                               .user = input.fields.user});
        if (NamesOurSchema(slow.query)) {
            return false;
        }
        if (input.plan != nullptr) {
            slow.plan = capture::CompactPlan(input.plan, input.keeps_literals, capture::kPlanRoom);
        } else if (input.unfinished != nullptr && input.unfinished->count > 0) {
            const UnfinishedNodes& taken = *input.unfinished;
            slow.plan = capture::PackUnfinished({taken.nodes, static_cast<size_t>(taken.count)},
                                                taken.left_out);
        }
        SharedStore()->slow().Add(slow);
        return true;
    });
}

namespace {

/// One step of the detector; what it finds goes to the store.
template <typename Step>
void Detect(Step step, std::string_view running = {}) noexcept {
    Safely([&] {
        capture::StoreFindings findings(*SharedStore(), MyDatabaseId,
                                        capture::SqlDialect::kPostgres, running);
        step(findings);
        return true;
    });
}

}  // namespace

void FeedStatement(const capture::Finished& statement, const StatementValues* values) noexcept {
    std::optional<uint64_t> hash;
    std::string_view running;
    if (values != nullptr) {
        hash = values->hash;
        running = {values->text, static_cast<size_t>(values->length)};
    }
    const auto threshold = static_cast<uint32_t>(settings.n_plus_one_threshold);
    Detect([&](capture::FindingPort& port) { detector.Note(statement, hash, threshold, port); },
           running);
}

void FeedPart(const capture::Finished& statement) noexcept {
    Detect([&](capture::FindingPort& port) { detector.NotePart(statement, port); });
}

void EndDetectorScope() noexcept {
    if (detector.is_active()) {
        Detect([](capture::FindingPort& port) { detector.EndScope(port); });
    }
}

uint64_t KeepCursorQuery(Oid user, const char* declare, int length) noexcept {
    return Safely([&]() -> uint64_t {
        const std::string_view text(declare, static_cast<size_t>(length));
        const std::string_view query = capture::QueryOfCursor(text, capture::SqlDialect::kPostgres);
        const std::string shape = capture::Normalize(query, capture::SqlDialect::kPostgres);
        const int64_t fingerprint = capture::Fingerprint(shape);
        if (shape.empty() || NamesOurSchema(shape)) {
            return 0;
        }
        SharedStore()->texts().Keep(MyDatabaseId, fingerprint,
                                    capture::MaskLiterals(query, Options(0)), user);
        return static_cast<uint64_t>(fingerprint);
    });
}

bool IsSampleDue(uint64_t ns) noexcept {
    return sample_clock.IsDue(ns);
}

void KeepSample(const StatementKey& key, const SourceText& text, const char* const* parameters,
                int parameter_count) noexcept {
    Safely([&] {
        if (NamesUs(key)) {
            return false;
        }
        const std::vector<std::string_view> values(parameters, parameters + parameter_count);
        const std::optional<std::string> sample = capture::WithValues(
            {text.source, static_cast<size_t>(text.length)}, values, Options(0));
        if (sample) {
            SharedStore()->samples().Keep(key.database, key.fingerprint, key.user, *sample);
        }
        return sample.has_value();
    });
}

void CountOwnError() noexcept {
    SharedStore()->CountHostError();
}

}  // namespace upkeep::pg
