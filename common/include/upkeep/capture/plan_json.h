// A plan as PostgreSQL's EXPLAIN (FORMAT JSON) prints it -> what is kept of it.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace upkeep::capture {

/// The plan without white space between its tokens and, unless `keeps_literals`, with every literal
/// inside conditions, sort keys and other expressions as `?`. Words of the plan's own (node types,
/// names of relations and indexes, strategies) stay. Not JSON in, not JSON out.
/// If that has more than `room` bytes, details of nodes (blocks, widths, startup) are left out.
std::string CompactPlan(std::string_view json, bool keeps_literals, size_t room = SIZE_MAX);

}  // namespace upkeep::capture
