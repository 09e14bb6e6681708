// The kinds of index and what they are called in SQL. What a kind is good for: candidates.cpp.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "upkeep/advisor/what_if.h"

namespace upkeep::advisor {

/// The name of a kind in SQL, and back (nullopt: no such kind).
std::string_view KindName(IndexKind kind);
std::optional<IndexKind> ParseKind(std::string_view name);

/// All kinds that have a name.
std::span<const IndexKind> AllKinds();

}  // namespace upkeep::advisor
