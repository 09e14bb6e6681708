// The workflow schema 1.0 as data: tables, columns, rules, indexes of both profiles, what becomes
// of each index of the guide, and the engine's migration that stands for it. Host words are made
// from it in schema_text.h; what to do about it is decided in install.h. SPDX-License-Identifier:
// PostgreSQL
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace upkeep::workflow {

enum class ColumnKind : uint8_t { kUuid, kVarchar, kText, kJson, kTime, kInteger, kBool };

struct SchemaColumn {
    std::string_view name;
    ColumnKind kind = ColumnKind::kText;
    int width = 0;  // of kVarchar, characters
    bool is_nullable = false;
    /// The default: empty for none, `uuid` and `now` for the host's own expression, `true` and
    /// `false`, else an SQL literal.
    std::string_view initial = {};
};

enum class RuleKind : uint8_t {
    kUnique,       // of `columns`
    kReference,    // `columns` is a key of `target`(id)
    kOneOf,        // `columns` is one of `values`
    kNotNegative,  // `columns` >= 0
    kNotBefore,    // `columns` is null or not before `target`, another column
};

/// A constraint beside the primary key (id), which every table has.
struct SchemaRule {
    RuleKind kind;
    std::string_view columns;
    std::string_view target = {};
    bool cascades = false;  // kReference: deleting there deletes here
    std::span<const std::string_view> values = {};
};

struct SchemaTable {
    std::string_view name;
    std::span<const SchemaColumn> columns;
    std::span<const SchemaRule> rules;
};

/// `columns` as SQL. A partial index has `only`, a column: of one of `values`, or not null if there
/// are none.
struct SchemaIndex {
    std::string_view name;
    std::string_view table;
    std::string_view columns;
    std::string_view only = {};
    std::span<const std::string_view> values = {};
    bool is_gin = false;
};

/// What the profile makes of an index of the guide.
struct IndexFate {
    std::string_view guide_name;
    std::string_view action;
};

struct SchemaProfile {
    std::string_view name;
    std::span<const SchemaTable> tables;  // referenced ones first
    std::span<const SchemaIndex> indexes;
    std::span<const IndexFate> fates;
    std::string_view head_revision;  // of the engine's migrations; empty: none makes these tables
};

/// `corrected` and `guide`.
std::span<const SchemaProfile> SchemaProfiles();
/// nullptr if there is none of this name.
const SchemaProfile* FindSchemaProfile(std::string_view name);

}  // namespace upkeep::workflow
