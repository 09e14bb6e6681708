// SPDX-License-Identifier: PostgreSQL
#include "ddl.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "upkeep/base/text.h"

namespace upkeep::advisor {

namespace {

// Room that a cut name needs at least: a few letters, `_`, the hash, a number.
constexpr size_t kMinNameBytes = 24;

/// Eight hexadecimal digits. Source: FNV-1a, 32 bits.
std::string ShortHash(std::string_view text) {
    static constexpr std::string_view kHex = "0123456789abcdef";
    uint32_t hash = 2166136261U;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    }
    std::string out;
    for (int shift = 28; shift >= 0; shift -= 4) {
        out += kHex[hash >> shift & 15];
    }
    return out;
}

const ColumnFacts& ColumnOf(const Relation& relation, int column) {
    return relation.columns.at(static_cast<size_t>(column));
}

std::string Dotted(const std::string& schema_quoted, const std::string& name_quoted) {
    return schema_quoted.empty() ? name_quoted : schema_quoted + "." + name_quoted;
}

}  // namespace

std::string KeyText(const WhatIf& port, const Relation& relation, const IndexKey& key) {
    std::string text = key.column >= 0 ? port.Quote(ColumnOf(relation, key.column).name)
                                       : "(" + key.expression + ")";
    if (key.descending) {
        text += " DESC";
    }
    if (port.dialect().has_nulls_order && key.nulls_first != key.descending) {
        text += key.nulls_first ? " NULLS FIRST" : " NULLS LAST";
    }
    return text;
}

std::string PlainIndexName(const Relation& relation, const IndexSpec& spec) {
    std::string name = "idx_" + relation.name;
    for (const IndexKey& key : spec.keys) {
        name += "_";
        name += key.column >= 0 ? ColumnOf(relation, key.column).name : "expr";
        name += key.descending ? "_desc" : "";
    }
    name += spec.include.empty() ? "" : "_covering";
    return name;
}

std::string CutName(const std::string& name, size_t max_bytes) {
    const size_t limit = std::max(max_bytes, kMinNameBytes);
    if (name.size() <= limit) {
        return name;
    }
    const std::string hash = "_" + ShortHash(name);
    return std::string(Clip(name, limit - hash.size())) + hash;
}

std::string DdlWriter::NewName(const IndexSpec& spec) {
    const Relation& relation = port_.relation(spec.relation);
    const std::string plain = PlainIndexName(relation, spec);
    const size_t limit =
        std::max(static_cast<size_t>(std::max(dialect_.max_name_bytes, 0)), kMinNameBytes);
    std::string name = CutName(plain, limit);
    for (int number = 2;
         given_.count({relation.schema_quoted, name}) != 0 || port_.NameTaken(spec.relation, name);
         ++number) {
        const std::string suffix = "_" + std::to_string(number);
        name = CutName(plain, limit - suffix.size()) + suffix;
    }
    given_.emplace(relation.schema_quoted, name);
    return name;
}

IndexDdl DdlWriter::Write(const IndexSpec& spec) {
    const Relation& relation = port_.relation(spec.relation);
    const bool is_plain = relation.is_partitioned || relation.is_temporary;
    IndexDdl ddl;
    ddl.name = NewName(spec);

    std::string keys;
    for (const IndexKey& key : spec.keys) {
        keys += (keys.empty() ? "" : ", ") + KeyText(port_, relation, key);
    }
    std::string included;
    for (const int column : spec.include) {
        std::string& list = dialect_.has_include ? included : keys;
        list += (list.empty() ? "" : ", ") + port_.Quote(ColumnOf(relation, column).name);
    }
    const std::string quoted = port_.Quote(ddl.name);
    const std::string in_schema = Dotted(relation.schema_quoted, quoted);
    const bool schema_first = dialect_.schema_before_index;
    ddl.create_sql = std::string(is_plain ? dialect_.plain_create_index : dialect_.create_index) +
                     " " + (schema_first ? in_schema : quoted) + " ON " +
                     (schema_first ? port_.Quote(relation.name) : relation.display_name) + " (" +
                     keys + ")" + (included.empty() ? "" : " INCLUDE (" + included + ")");
    ddl.drop_sql =
        std::string(is_plain ? dialect_.plain_drop_index : dialect_.drop_index) + " " + in_schema;
    ddl.steps = {ddl.create_sql};
    if (relation.is_partitioned) {
        ddl.warnings.emplace_back(
            "table is partitioned: creating the index blocks writes to all partitions meanwhile");
    }
    if (relation.is_temporary) {
        ddl.warnings.emplace_back("table is temporary: the index ends with it");
    }
    return ddl;
}

}  // namespace upkeep::advisor
