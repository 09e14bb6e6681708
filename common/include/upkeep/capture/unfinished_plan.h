// The plan of a statement that ended in an error, in two steps, because in an error handler nothing
// may be looked up: there a list of nodes is taken by plain reads (numbers of relations, constant
// words) and kept as text; whoever reads it looks up the names and gets JSON of the form of
// EXPLAIN. Not for: plans of statements that ended well; the host renders those itself.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace upkeep::capture {

/// One node, in the order of EXPLAIN: a node, then its children, one deeper.
struct UnfinishedNode {
    uint32_t depth = 0;
    uint32_t relation = 0;    // the host's number; 0: none
    uint32_t index = 0;       // the same
    const char* type = "";    // as EXPLAIN names it
    const char* detail = "";  // Insert, Update …; empty: none
    double planned_rows = 0;
    double total_cost = 0;
    bool is_counted = false;  // the two below are known
    uint64_t rows = 0;        // given by all its loops so far
    uint64_t loops = 0;       // begun
};

/// `left_out`: nodes for which there was no room.
std::string PackUnfinished(std::span<const UnfinishedNode> nodes, uint32_t left_out);

bool IsUnfinished(std::string_view plan);

/// Name of a relation or index by its number; empty: there is none any more.
using NameOfRelation = std::function<std::string(uint32_t)>;

/// JSON of what PackUnfinished made. Text that it did not make: as much as can be read.
std::string UnfinishedJson(std::string_view packed, const NameOfRelation& name_of);

}  // namespace upkeep::capture
