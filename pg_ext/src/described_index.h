// A proposed index in the words of the inventory, so that it can be compared with those that exist.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>

#include "relation_facts.h"
#include "upkeep/advisor/what_if.h"
#include "upkeep/health/index_facts.h"

namespace upkeep::pg {

/// nullopt: of a kind that covers nothing else (GIN, BRIN), or with operator classes of its own.
/// An expression is equal to no other one. Asks the server for nothing but quoting.
std::optional<health::IndexDescription> DescribeSpec(const advisor::WhatIf& port,
                                                     const advisor::IndexSpec& spec,
                                                     const PlainRelation& relation);

}  // namespace upkeep::pg
