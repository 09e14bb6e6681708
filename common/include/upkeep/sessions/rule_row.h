// A row of reap_rules as a rule: one reading of it for whoever checks the row as it is written and
// whoever applies it. Not for: what a rule means (rule.h).
//
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/base/result.h"
#include "upkeep/base/value.h"
#include "upkeep/sessions/rule.h"

namespace upkeep::sessions {

/// One value per column of reap_rules, in the order of its description. NULL is allowed where it
/// means something: any address, any share of connections, no limit per minute.
/// Errors: kInvalidArgument (a NULL elsewhere, words and numbers as in rule.h), kInternal (a row of
/// another shape).
Result<Rule> RuleOfRow(const Row& row, RuleFor use = RuleFor::kServer);

/// What a column counts as where it is left out; NULL for a name, and where NULL means something.
Value DefaultOfRule(std::string_view column);

}  // namespace upkeep::sessions
