// check_health(): what a careful operator looks at, as rows with evidence.
//
//   host: Observation (what was measured) -> core: Check (rule, limits, advice) -> row
//
// Laws: evidence carries the numbers and the limits; what was not seen is `unknown` or `manual`,
// never `ok`; a lower bound (others' sessions are hidden) can warn and cannot reassure.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "upkeep/base/table_function.h"
#include "upkeep/health/index_facts.h"

namespace upkeep::health {

enum class Rule : uint8_t {
    kAtMost,    // a number: warns from `warn`, fails from `fail`
    kAtLeast,   // a number: warns below `warn`, fails below `fail`
    kWord,      // a word: ok if in `good`, fails if in `bad`, else warns
    kEvidence,  // nothing to measure yet: unknown until a host offers a word
    kManual,    // cannot be seen from inside a database: a person looks, unless it was told a word
};

enum class Unit : uint8_t { kCount, kRatio, kSeconds, kMilliseconds, kBytes };

struct CheckSubject {
    std::string_view section;
    std::string_view code;
    Hosts hosts;
    Rule rule;
    std::string_view title;
    std::string_view advice;  // shown unless ok
};

/// What its rule needs.
struct CheckRule {
    double warn = 0, fail = 0;  // infinite: no such limit
    Unit unit = Unit::kCount;
    std::string_view good = "";  // words, separated by `|`
    std::string_view bad = "";
    std::string_view fix = "";    // statements, one a line; the host may have better ones
    std::string_view blind = "";  // said where the host has nothing to tell
};

/// One check as both hosts, or one of them, have it.
struct Check : CheckSubject, CheckRule {};

/// What a host saw. Neither number nor word: unknown, because of `unknown_because`.
struct Observation {
    std::string code;
    std::optional<double> number;
    std::string word;
    std::string evidence;  // a clause without full stop
    std::string unknown_because;
    bool is_lower_bound = false;  // part of it is hidden from the caller: unknown_because says so
    std::vector<std::string> objects;  // named in the evidence, worst first
    std::vector<std::string> fixes;    // statements, one for each object where there is one
};

/// All checks of both hosts, in the order of the sections.
std::span<const Check> AllChecks();

/// Its rule in words, for the reference: `warn from 80 %, fail from 95 %`, `ok: on; fail: off`.
std::string RuleText(const Check& check);

/// The observations that follow from the indexes alone: redundant_indexes, invalid_indexes,
/// unused_indexes, stale_statistics, unindexed_foreign_keys.
std::vector<Observation> ObserveIndexes(const IndexInventory& inventory);

/// Body of check_health(): one row for each check that `host` has.
void CheckHealth(Hosts host, std::span<const Observation> seen, RowSink& rows);

}  // namespace upkeep::health
