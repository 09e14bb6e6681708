// SPDX-License-Identifier: PostgreSQL
#include "recorder.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "pg.h"
#include "settings.h"
#include "upkeep/capture/normalize.h"
#include "upkeep/capture/plan_json.h"

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
    StatementKey key;
    uint64_t ns = 0;
};
PlanningTime pending_planning;  // of a statement that was not known when it was planned
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
    return capture::ReplaceConstants(source, offsets, Options(text.highest_parameter));
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

void CountNew(const StatementKey& key, capture::Operation operation, const char* tables,
              const Execution& execution) noexcept {
    Execution counted = execution;
    if (pending_planning.key == key) {
        counted.plan_ns += pending_planning.ns;
        pending_planning = {};
    }
    Safely([&] {
        if (NamesOurSchema(KeptText(key))) {
            return false;  // who asks us is not part of the workload; asked again, it is new again
        }
        capture::StatementInfo info;
        info.operation = operation;
        info.tables = tables;
        SharedStore()->RecordNew(BackendStatements(), key, info, counted);
        return true;
    });
}

void CountPlanning(const StatementKey& key, uint64_t ns) noexcept {
    if (!SharedStore()->AddPlanning(BackendStatements(), key, ns)) {
        pending_planning = {key, ns};
    }
}

bool TextIsKept(uint64_t fingerprint, Oid user) noexcept {
    return SharedStore()->texts().Knows(BackendTexts(), MyDatabaseId,
                                        static_cast<int64_t>(fingerprint), user);
}

void KeepText(uint64_t fingerprint, Oid user, const SourceText& text) noexcept {
    Safely([&] {
        return SharedStore()->texts().Keep(MyDatabaseId, static_cast<int64_t>(fingerprint),
                                           Masked(text), user);
    });
}

void KeepPlainText(uint64_t fingerprint, Oid user, const char* text) noexcept {
    Safely([&] {
        return SharedStore()->texts().Keep(MyDatabaseId, static_cast<int64_t>(fingerprint), text,
                                           user);
    });
}

void KeepSlow(const SlowInput& input) noexcept {
    Safely([&] {
        capture::SlowStatement slow;
        slow.fields = input.fields;
        slow.application_name = TextOrEmpty(input.application_name);
        slow.client_addr = TextOrEmpty(input.client_addr);
        slow.error_code = TextOrEmpty(input.error_code);
        slow.parameters = TextOrEmpty(input.parameters);
        slow.query = KeptText({.fingerprint = input.fields.fingerprint,
                               .database = input.fields.database,
                               .user = input.fields.user});
        if (NamesOurSchema(slow.query)) {
            return false;
        }
        if (input.plan != nullptr) {
            slow.plan = capture::CompactPlan(input.plan, input.keeps_literals);
        }
        SharedStore()->slow().Add(slow);
        return true;
    });
}

bool IsSampleDue(uint64_t ns) noexcept {
    return sample_clock.IsDue(ns);
}

void KeepSample(const StatementKey& key, const SourceText& text, const char* const* parameters,
                int parameter_count) noexcept {
    Safely([&] {
        if (NamesOurSchema(KeptText(key))) {
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
