// Checks of the texts that callers give, by preparing them on the replica, and the translation of
// what the recorder saw into the core's words.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "price.h"
#include "recorder.h"
#include "relations.h"
#include "replica.h"
#include "upkeep/advisor/what_if.h"
#include "write_cost.h"

namespace upkeep::sqlite {

/// What a statement reads and writes, as the host's authorizer is asked for it.
struct Touched {
    std::string text;  // the one statement, without what follows it
    bool has_parameters = false;
    advisor::StatementKind kind = advisor::StatementKind::kSelect;
    std::set<std::pair<std::string, std::string>> tables;   // schema, table
    std::set<std::pair<std::string, std::string>> written;  // by the statement and its triggers
    std::map<std::pair<std::string, std::string>, TableWrite> writes;  // how
};

/// Errors: kInvalidArgument (not one SELECT, INSERT, UPDATE or DELETE; the host's text), kNotFound,
/// kUnsupported (a table that could not be replicated: the reason).
Result<Touched> PrepareStatement(const Replica& replica, sqlite3* caller, std::string_view text);

struct NewIndex {
    std::string text;
    std::string schema;
    std::string table;
    std::string name;
};

/// Errors: as PrepareStatement; kInvalidArgument if the text is not one CREATE INDEX.
Result<NewIndex> PrepareIndex(const Replica& replica, sqlite3* caller, std::string_view text);

/// The core's view of a mention.
advisor::RelationUse MakeUse(const Mention& mention, const PricedMention& priced,
                             const RelationState& relation, advisor::RelationId id, bool has_limit);

}  // namespace upkeep::sqlite
