// SPDX-License-Identifier: PostgreSQL
#include "upkeep/health/checks.h"

#include <algorithm>
#include <cmath>

#include "format.h"
#include "upkeep/health/index_findings.h"

namespace upkeep::health {

namespace {

constexpr size_t kMostObjects = 5;  // named in the evidence
constexpr size_t kMostFixes = 50;   // statements in fix_sql
// Counters have to see a week before a scan that did not come means anything.
constexpr double kMinCountersAgeS = 7 * 86400.0;

enum class Status : uint8_t { kOk, kWarn, kFail, kUnknown, kManual };

std::string StatusWord(Status status) {
    static constexpr const char* kWords[] = {"ok", "warn", "fail", "unknown", "manual"};
    return kWords[static_cast<size_t>(status)];
}

std::string Measure(Unit unit, double number) {
    switch (unit) {
        case Unit::kRatio:
            return NumberText(number * 100, 1) + " %";
        case Unit::kSeconds:
            return AgeText(number);
        case Unit::kMilliseconds:
            return NumberText(number, 0) + " ms";
        case Unit::kBytes:
            return BytesText(number);
        case Unit::kCount:
            break;
    }
    return NumberText(number);
}

/// Is `word` one of `words`, which are separated by `|`?
bool IsOneOf(std::string_view word, std::string_view words) {
    while (!words.empty()) {
        const size_t end = std::min(words.find('|'), words.size());
        if (words.substr(0, end) == word) {
            return true;
        }
        words.remove_prefix(std::min(end + 1, words.size()));
    }
    return false;
}

Status JudgeWord(const Check& check, const Observation& seen) {
    if (seen.word.empty()) {
        return Status::kUnknown;
    }
    return IsOneOf(seen.word, check.good)  ? Status::kOk
           : IsOneOf(seen.word, check.bad) ? Status::kFail
                                           : Status::kWarn;
}

Status JudgeNumber(const Check& check, const Observation& seen) {
    if (!seen.number || std::isnan(*seen.number)) {
        return Status::kUnknown;
    }
    const double sign = check.rule == Rule::kAtMost ? 1 : -1;
    const double number = sign * *seen.number;
    const bool is_strict = check.rule == Rule::kAtLeast;  // "at least 5" is met by 5
    const auto reaches = [&](double limit) {
        return is_strict ? number > sign * limit : number >= sign * limit;
    };
    if (reaches(check.fail)) {
        return Status::kFail;
    }
    if (reaches(check.warn)) {
        return Status::kWarn;
    }
    return seen.is_lower_bound ? Status::kUnknown : Status::kOk;
}

Status Judge(const Check& check, const Observation* seen) {
    const bool is_told = seen != nullptr && !seen->word.empty() && !check.good.empty();
    if (check.rule == Rule::kManual && !is_told) {
        return Status::kManual;
    }
    if (seen == nullptr) {
        return Status::kUnknown;
    }
    const bool is_number = check.rule == Rule::kAtMost || check.rule == Rule::kAtLeast;
    return is_number ? JudgeNumber(check, *seen) : JudgeWord(check, *seen);
}

std::string LimitsText(const Check& check) {
    const char* word = check.rule == Rule::kAtMost ? " from " : " below ";
    std::string text;
    if (std::isfinite(check.warn) && check.warn != check.fail) {
        text = std::string("warn") + word + Measure(check.unit, check.warn);
    }
    if (std::isfinite(check.fail)) {
        text += (text.empty() ? "" : ", ") + std::string("fail") + word +
                Measure(check.unit, check.fail);
    }
    return text;
}

std::string ObjectsText(const std::vector<std::string>& objects) {
    std::string text;
    for (size_t i = 0; i < objects.size() && i < kMostObjects; ++i) {
        text += (i == 0 ? ": " : ", ") + objects[i];
    }
    if (objects.size() > kMostObjects) {
        text += " and " + std::to_string(objects.size() - kMostObjects) + " more";
    }
    return text;
}

std::string EvidenceText(const Check& check, const Observation* seen, Status status) {
    std::string text = seen == nullptr ? std::string() : seen->evidence;
    if (seen != nullptr) {
        text += ObjectsText(seen->objects);
    }
    const std::string why = seen == nullptr || seen->unknown_because.empty()
                                ? std::string(check.blind)
                                : seen->unknown_because;
    if ((status == Status::kUnknown || status == Status::kManual) && !why.empty()) {
        text += (text.empty() ? "" : "; ") + why;
    }
    const bool has_limits = check.rule == Rule::kAtMost || check.rule == Rule::kAtLeast;
    if (has_limits && seen != nullptr && seen->number) {
        text += (text.empty() ? Measure(check.unit, *seen->number) : std::string()) + " (" +
                LimitsText(check) + ")";
    }
    return text.empty() ? "it was not looked at" : text;
}

/// One statement a line, each ended by a semicolon where there are several.
std::string FixText(const Check& check, const Observation& seen) {
    std::vector<std::string> statements;
    for (size_t i = 0; i < seen.fixes.size() && i < kMostFixes; ++i) {
        statements.push_back(seen.fixes[i]);
    }
    std::string_view rest = statements.empty() ? check.fix : std::string_view();
    while (!rest.empty()) {
        const size_t end = std::min(rest.find('\n'), rest.size());
        statements.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    std::string text;
    for (const std::string& statement : statements) {
        text += (text.empty() ? "" : ";\n") + statement;
    }
    return text;
}

Observation Count(std::string code, size_t found, size_t of, const std::string& what) {
    Observation seen;
    seen.code = std::move(code);
    seen.number = static_cast<double>(found);
    seen.evidence = std::to_string(found) + " of " + std::to_string(of) + " " + what;
    return seen;
}

/// Counts the findings with one of `codes`.
Observation CountFindings(std::string code, const std::vector<IndexFinding>& findings,
                          std::string_view codes, size_t of, const std::string& what) {
    Observation seen = Count(std::move(code), 0, of, what);
    size_t count = 0;
    for (const IndexFinding& finding : findings) {
        if (IsOneOf(finding.code, codes)) {
            ++count;
            seen.objects.push_back(finding.index_name.empty() ? finding.table_name
                                                              : finding.index_name);
            if (!finding.fix_sql.empty()) {
                seen.fixes.push_back(finding.fix_sql);
            }
        }
    }
    seen.number = static_cast<double>(count);
    seen.evidence = std::to_string(count) + seen.evidence.substr(1);
    return seen;
}

Observation ObserveUnused(const IndexInventory& inventory,
                          const std::vector<IndexFinding>& findings) {
    Observation seen = CountFindings("unused_indexes", findings, "unused", inventory.indexes.size(),
                                     "indexes have no scan");
    const bool is_counted =
        std::any_of(inventory.indexes.begin(), inventory.indexes.end(),
                    [](const IndexDescription& index) { return index.scans.has_value(); });
    if (!inventory.indexes.empty() && !is_counted) {
        seen.number.reset();  // the check's own words say why
        seen.evidence.clear();
        return seen;
    }
    if (inventory.indexes.empty()) {
        return seen;
    }
    const double age = inventory.counters_age_s.value_or(0);
    seen.evidence += " in " + AgeText(age);
    if (age < kMinCountersAgeS) {
        seen.number.reset();
        seen.unknown_because =
            "the counters are younger than " + AgeText(kMinCountersAgeS) + ": too early to say";
    }
    return seen;
}

const Observation* Find(std::span<const Observation> seen, std::string_view code) {
    const auto found = std::find_if(seen.begin(), seen.end(),
                                    [&](const Observation& one) { return one.code == code; });
    return found == seen.end() ? nullptr : &*found;
}

}  // namespace

std::string RuleText(const Check& check) {
    const auto list = [](std::string_view words) {
        std::string text;
        for (const char c : words) {
            text += c == '|' ? std::string(", ") : std::string(1, c);
        }
        return text;
    };
    std::string words =
        check.good.empty()
            ? ""
            : "ok: " + list(check.good) + (check.bad.empty() ? "" : "; fail: " + list(check.bad));
    const std::string before = words.empty() ? "" : words + "; ";
    switch (check.rule) {
        case Rule::kAtMost:
        case Rule::kAtLeast:
            return LimitsText(check);
        case Rule::kWord:
            return words;
        case Rule::kEvidence:
            return before + "unknown without evidence";
        case Rule::kManual:
            break;
    }
    return before + (before.empty() ? "manual" : "manual without evidence");
}

std::vector<Observation> ObserveIndexes(const IndexInventory& inventory) {
    const std::vector<IndexFinding> findings = FindIndexFindings(inventory);
    const size_t indexes = inventory.indexes.size();
    std::vector<Observation> seen;
    const std::vector<UnindexedKey> bare = FindUnindexedKeys(inventory);
    seen.push_back(Count("unindexed_foreign_keys", bare.size(), inventory.foreign_keys.size(),
                         "foreign keys have no index"));
    for (const UnindexedKey& found : bare) {
        std::string columns;
        for (const std::string& column : found.key->columns) {
            columns += (columns.empty() ? "" : ", ") + column;
        }
        seen.back().objects.push_back(found.key->table_name + " (" + columns + ")");
        seen.back().fixes.push_back(found.create_sql);
    }
    seen.push_back(CountFindings("redundant_indexes", findings,
                                 "duplicate|redundant_prefix|redundant_partial", indexes,
                                 "indexes are covered by another"));
    seen.push_back(
        CountFindings("invalid_indexes", findings, "invalid", indexes, "indexes are invalid"));
    seen.push_back(ObserveUnused(inventory, findings));
    seen.push_back(CountFindings("stale_statistics", findings, "never_analysed|needs_analyze",
                                 inventory.tables.size(), "tables have no current statistics"));
    return seen;
}

void CheckHealth(Hosts host, std::span<const Observation> seen, RowSink& rows) {
    for (const Check& check : AllChecks()) {
        if (check.hosts != Hosts::kBoth && check.hosts != host) {
            continue;
        }
        const Observation* found = Find(seen, check.code);
        const Status status = Judge(check, found);
        const bool needs_fix = status == Status::kWarn || status == Status::kFail;
        const std::string fix = needs_fix ? FixText(check, *found) : std::string();
        rows.Add({std::string(check.section), std::string(check.code), StatusWord(status),
                  std::string(check.title), EvidenceText(check, found, status),
                  status == Status::kOk ? Value() : Value(std::string(check.advice)),
                  fix.empty() ? Value() : Value(fix)});
    }
}

}  // namespace upkeep::health
