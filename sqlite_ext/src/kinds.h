// What a mention offers to partial indexes and to indexes on expressions.
//
//   status = 'failed'      partial      a constant that the recorder saw, never a bound value
//   lower(email) = …       expression   built-in deterministic functions and ->, ->>
//
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string_view>

#include "price_terms.h"
#include "relations.h"
#include "sqlite_api.h"
#include "upkeep/advisor/what_if.h"

namespace upkeep::sqlite {

/// Adds the conditions of the mention to its use. `caller` is asked for its functions only.
void AddKinds(sqlite3* caller, std::string_view statement, const PricedMention& mention,
              const RelationState& relation, const TextFacts& text, advisor::RelationUse* use);

}  // namespace upkeep::sqlite
