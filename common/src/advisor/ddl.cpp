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

/// The words of an expression as a part of a name: `lower(email)` -> `lower_email`. What they leave
/// out (signs, quotes) is in the hash.
std::string WordsOf(const std::string& expression) {
    constexpr size_t kMostLetters = 24;
    std::string words;
    bool is_gap = false;
    for (const char c : expression) {
        const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        if ((lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') || lower == '_') {
            words += is_gap && !words.empty() ? "_" : "";
            words += lower;
            is_gap = false;
        } else {
            is_gap = true;
        }
    }
    if (words.size() > kMostLetters) {
        words.resize(kMostLetters);
    }
    return words + "_" + ShortHash(expression).substr(0, 4);
}

/// What tells an index of another kind from the B-tree over the same keys.
std::string KindSuffix(const Relation& relation, const IndexSpec& spec) {
    std::string suffix = UsingMethod(spec.kind).empty() ? "" : "_" + UsingMethod(spec.kind);
    for (const IndexKey& key : spec.keys) {
        suffix += key.opclass.find("path_ops") == std::string::npos ? "" : "_path";
    }
    if (spec.kind == IndexKind::kTrigram) {
        suffix = "_trgm";
    }
    if (!spec.predicate.empty()) {
        suffix += "_where";
        for (const int column : spec.predicate_columns) {
            suffix += "_" + ColumnOf(relation, column).name;
        }
        suffix += "_" + ShortHash(spec.predicate).substr(0, 4);
    }
    return suffix;
}

}  // namespace

std::string Dotted(const std::string& schema_quoted, const std::string& name_quoted) {
    return schema_quoted.empty() ? name_quoted : schema_quoted + "." + name_quoted;
}

std::string PlainIndexName(const Relation& relation, const IndexSpec& spec,
                           const std::string& table) {
    std::string name = "idx_" + table;
    for (const IndexKey& key : spec.keys) {
        name += "_";
        name += key.column >= 0 ? ColumnOf(relation, key.column).name : WordsOf(key.expression);
        name += key.descending ? "_desc" : "";
    }
    name += spec.include.empty() ? "" : "_covering";
    return name + KindSuffix(relation, spec);
}

std::string CutName(const std::string& name, size_t max_bytes) {
    const size_t limit = std::max(max_bytes, kMinNameBytes);
    if (name.size() <= limit) {
        return name;
    }
    const std::string hash = "_" + ShortHash(name);
    return std::string(Clip(name, limit - hash.size())) + hash;
}

std::string DdlWriter::NewName(RelationId relation, const std::string& schema_quoted,
                               const std::string& plain) {
    const size_t limit =
        std::max(static_cast<size_t>(std::max(dialect_.max_name_bytes, 0)), kMinNameBytes);
    std::string name = CutName(plain, limit);
    for (int number = 2;
         given_.count({schema_quoted, name}) != 0 || port_.NameTaken(relation, name); ++number) {
        const std::string suffix = "_" + std::to_string(number);
        name = CutName(plain, limit - suffix.size()) + suffix;
    }
    given_.emplace(schema_quoted, name);
    return name;
}

IndexDdl DdlWriter::Write(const IndexSpec& spec) {
    const Relation& relation = port_.relation(spec.relation);
    const bool is_plain = relation.is_partitioned || relation.is_temporary;
    IndexDdl ddl;
    ddl.name = NewName(spec.relation, relation.schema_quoted,
                       PlainIndexName(relation, spec, relation.name));

    const std::string tail = IndexTail(port_, spec);
    const std::string quoted = port_.Quote(ddl.name);
    const std::string in_schema = Dotted(relation.schema_quoted, quoted);
    const bool schema_first = dialect_.schema_before_index;
    ddl.create_sql = std::string(is_plain ? dialect_.plain_create_index : dialect_.create_index) +
                     " " + (schema_first ? in_schema : quoted) + " ON " +
                     (schema_first ? port_.Quote(relation.name) : relation.display_name) + tail;
    ddl.drop_sql =
        std::string(is_plain ? dialect_.plain_drop_index : dialect_.drop_index) + " " + in_schema;
    ddl.steps = {ddl.create_sql};
    if (relation.is_partitioned) {
        ddl.steps = PartitionSteps(spec, ddl.name, tail);
        ddl.warnings.emplace_back(
            "table is partitioned: creating the index blocks writes to all partitions meanwhile; "
            "steps builds it partition by partition without that");
        if (HasForeignPartition(relation)) {
            ddl.warnings.emplace_back(
                "partitions that are foreign tables get no index: create it on their own server");
        }
    }
    if (relation.is_temporary) {
        ddl.warnings.emplace_back("table is temporary: the index ends with it");
    }
    return ddl;
}

}  // namespace upkeep::advisor
