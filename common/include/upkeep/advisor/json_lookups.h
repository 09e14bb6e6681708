// JSON that captured statements look into, in a host that keeps it as text: what such a host has to
// offer instead of a type is an index on the value.
//
//   texts as they were sent ─Analyse─▶ look-ups that all texts of a statement share
//                           ─PriceWith─▶ those whose index the planner uses and that pays
//
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <vector>

#include "upkeep/advisor/what_if.h"
#include "upkeep/base/result.h"
#include "upkeep/health/index_findings.h"

namespace upkeep::advisor {

/// One captured statement.
struct SentTexts {
    double weight = 1;
    std::vector<std::string> texts;  // with their constants; several: differing in these
};

/// May the text look into JSON? Cheap; the others need not be given.
bool MayLookIntoJson(std::string_view text);

/// `json_without_jsonb`, one for each path of names that is worth an index. What cannot be analysed
/// is left out. Errors: kInterrupted.
Result<std::vector<health::IndexFinding>> FindJsonLookups(WhatIf& port,
                                                          const std::vector<SentTexts>& statements);

}  // namespace upkeep::advisor
