// SPDX-License-Identifier: PostgreSQL
#include "relations.h"

#include <algorithm>

#include "private_copy.h"

namespace upkeep::sqlite {

namespace {

/// Why no index can be proposed for the table; empty: it can.
std::string Obstacle(const CatalogTable& table) {
    if (Lower(table.name.substr(0, 7)) == "sqlite_") {
        return "it is a table of SQLite itself";
    }
    if (table.schema == "temp") {
        return "it is a temporary table, an index would end with the connection";
    }
    switch (table.kind) {
        case TableKind::kVirtual:
            return "it is a virtual table";
        case TableKind::kShadow:
            return "it belongs to a virtual table";
        case TableKind::kView:
            return "it is a view";
        case TableKind::kTable:
            break;
    }
    return "";
}

bool IsPlainName(std::string_view name) {
    const bool starts_well = !name.empty() && (name[0] < '0' || name[0] > '9');
    return starts_well && std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_';
           });
}

/// Text of the key as an expression: of a column with another collation, or as written.
std::string KeySql(const CatalogIndexKey& key, size_t number, const IndexText& text,
                   const std::vector<CatalogColumn>& columns) {
    if (key.column >= 0) {
        return Quoted(columns[static_cast<size_t>(key.column)].name);
    }
    return number < text.keys.size() ? text.keys[number] : std::string("NULL");
}

}  // namespace

std::string QuotedIfNeeded(std::string_view name) {
    const bool is_keyword = sqlite3_keyword_check(name.data(), static_cast<int>(name.size())) != 0;
    return IsPlainName(name) && !is_keyword ? std::string(name) : Quoted(name);
}

IndexShape ShapeOf(const CatalogIndex& index, const std::vector<CatalogColumn>& columns) {
    const IndexText text = ScanIndex(index.sql);
    IndexShape shape;
    shape.is_unique = index.is_unique;
    shape.predicate = index.is_partial ? text.predicate : std::string();
    for (size_t i = 0; i < index.keys.size(); ++i) {
        const CatalogIndexKey& key = index.keys[i];
        shape.keys.push_back({KeySql(key, i, text, columns), key.collation, key.column});
    }
    return shape;
}

advisor::IndexSpec SpecOf(const CatalogIndex& index, const std::vector<CatalogColumn>& columns,
                          advisor::RelationId relation) {
    const IndexShape shape = ShapeOf(index, columns);
    advisor::IndexSpec spec;
    spec.relation = relation;
    spec.predicate = shape.predicate;
    for (size_t i = 0; i < shape.keys.size(); ++i) {
        const KeyExpression& key = shape.keys[i];
        const bool is_column =
            key.column >= 0 &&
            Lower(key.collation) == Lower(columns[static_cast<size_t>(key.column)].collation);
        const std::string collated =
            key.sql + (key.column >= 0 ? " COLLATE " + Quoted(key.collation) : std::string());
        const bool is_descending = index.keys[i].is_descending;
        spec.keys.push_back({is_column ? key.column : -1, is_column ? std::string() : collated,
                             is_descending, is_descending});
        if (!is_column) {
            spec.kind = advisor::IndexKind::kExpression;
        }
    }
    if (!spec.predicate.empty()) {
        spec.kind = advisor::IndexKind::kPartial;
    }
    return spec;
}

IndexShape ShapeOfSpec(const advisor::IndexSpec& spec, const RelationState& relation) {
    IndexShape shape;
    shape.predicate = spec.predicate;
    const auto add = [&](int column) {
        const CatalogColumn& key = relation.columns.at(static_cast<size_t>(column));
        shape.keys.push_back({Quoted(key.name), key.collation, column});
    };
    for (const advisor::IndexKey& part : spec.keys) {
        if (part.column < 0) {
            shape.keys.push_back({part.expression, "BINARY", -2});
        } else {
            add(part.column);
        }
    }
    for (const int column : spec.include) {
        add(column);
    }
    return shape;
}

std::string SpecSql(const advisor::IndexSpec& spec, const RelationState& relation) {
    std::string keys;
    auto add = [&](const std::string& key) { keys += (keys.empty() ? "" : ", ") + key; };
    for (const advisor::IndexKey& key : spec.keys) {
        add((key.column < 0 ? "(" + key.expression + ")"
                            : Quoted(relation.columns.at(static_cast<size_t>(key.column)).name)) +
            (key.descending ? " DESC" : ""));
    }
    for (const int column : spec.include) {
        add(Quoted(relation.columns.at(static_cast<size_t>(column)).name));
    }
    return " ON " + Quoted(relation.table) + "(" + keys + ")" +
           (spec.predicate.empty() ? "" : " WHERE " + spec.predicate);
}

health::IndexDescription DescribeSpec(const advisor::IndexSpec& spec,
                                      const RelationState& relation) {
    health::IndexDescription index;
    index.access_method = "btree";
    index.predicate = spec.predicate;
    const auto add = [&](int column, bool is_descending) {
        const CatalogColumn& key = relation.columns.at(static_cast<size_t>(column));
        index.keys.push_back(
            {QuotedIfNeeded(key.name), Lower(key.collation), "", is_descending, !is_descending});
    };
    for (const advisor::IndexKey& key : spec.keys) {
        if (key.column < 0) {
            index.keys.push_back({key.expression, "?", "?", key.descending, !key.descending});
        } else {
            add(key.column, key.descending);
        }
    }
    for (const int column : spec.include) {
        add(column, false);
    }
    return index;
}

Relations::Relations(sqlite3* caller, const Catalog& catalog, const Replica& replica)
    : caller_(caller),
      catalog_(catalog),
      replica_(replica),
      store_(OpenPrivateCopy(caller, catalog)) {}

advisor::RelationId Relations::Meet(const std::string& schema, const std::string& table) {
    const TableKey key = KeyOf(schema, table);
    const auto known = ids_.find(key);
    if (known != ids_.end()) {
        return known->second;
    }
    const auto id = static_cast<advisor::RelationId>(states_.size());
    RelationState state;
    const CatalogTable* found = catalog_.Find(schema, table);
    CatalogTable unknown;
    unknown.schema = schema;
    unknown.name = table;
    unknown.kind = TableKind::kVirtual;  // a table-valued function
    Describe(found == nullptr ? unknown : *found, &state);
    ids_.emplace(key, id);
    states_.push_back(std::move(state));
    DescribeIndexes(&states_.back());
    return id;
}

void Relations::Describe(const CatalogTable& table, RelationState* state) {
    state->schema = table.schema;
    state->table = table.name;
    state->columns = ReadColumns(caller_, table.schema, table.name);
    advisor::Relation& facts = state->facts;
    facts.name = table.name;
    const bool is_hidden_by_temp = catalog_.Find("temp", table.name) != nullptr;
    if (table.schema != "main" || is_hidden_by_temp) {
        facts.schema_quoted = QuotedIfNeeded(table.schema);
        facts.display_name = facts.schema_quoted + "." + QuotedIfNeeded(table.name);
    } else {
        facts.display_name = QuotedIfNeeded(table.name);
    }
    facts.is_temporary = table.schema == "temp";
    facts.no_index_because = Obstacle(table);
    for (const CatalogColumn& column : state->columns) {
        facts.columns.push_back({column.name, 0, 0, 0, true});
    }
    if (table.kind == TableKind::kVirtual || table.kind == TableKind::kView) {
        return;
    }
    const std::optional<double> analysed = replica_.AnalysedRows(table.schema, table.name);
    Sample sample(caller_, store_.get(), table, state->columns, static_cast<int>(states_.size()),
                  analysed.value_or(-1));
    double key_bytes = 0;
    for (size_t i = 0; i < state->columns.size(); ++i) {
        const int column = static_cast<int>(i);
        facts.columns[i].width_bytes = sample.ColumnBytes(column);
        facts.columns[i].null_ratio = sample.NullRatio(column);
        key_bytes += state->columns[i].is_primary ? sample.ColumnBytes(column) : 0;
    }
    state->is_without_rowid = table.is_without_rowid;
    state->statistics = std::make_unique<Statistics>(std::move(sample), table.is_without_rowid,
                                                     PageBytes(table.schema), key_bytes);
    facts.rows = state->statistics->rows();
    facts.size_bytes = facts.rows > 0 ? state->statistics->TableSize().bytes : 0;
}

void Relations::DescribeIndexes(RelationState* state) {
    if (state->statistics == nullptr) {
        return;
    }
    const auto id = static_cast<advisor::RelationId>(states_.size() - 1);
    const int rowid = state->statistics->sample().rowid_column();
    if (rowid >= 0) {
        advisor::ExistingIndex primary;
        primary.name = "INTEGER PRIMARY KEY";
        primary.spec.relation = id;
        primary.spec.keys.push_back({rowid, "", false, false});
        primary.is_unique = true;
        primary.backs_constraint = true;
        state->facts.indexes.push_back(std::move(primary));
    }
    for (const CatalogIndex& index : ReadIndexes(caller_, state->schema, state->table)) {
        const IndexShape shape = ShapeOf(index, state->columns);
        advisor::ExistingIndex existing;
        existing.name = index.name;
        existing.spec = SpecOf(index, state->columns, id);
        existing.size_bytes = state->statistics->IndexSize(shape).bytes;
        existing.is_unique = index.is_unique;
        existing.backs_constraint = index.backs_constraint;
        state->facts.indexes.push_back(std::move(existing));
        state->shapes.emplace(index.name, shape);
    }
}

double Relations::PageBytes(const std::string& schema) {
    Stmt size(caller_, "PRAGMA " + Quoted(schema) + ".page_size");
    return size.Step() ? size.Float(0) : 4096;
}

void Relations::NeedDistinct(advisor::RelationId id, int column) {
    RelationState& state = at(id);
    if (column < 0 || state.statistics == nullptr) {
        return;
    }
    double& distinct = state.facts.columns[static_cast<size_t>(column)].distinct_count;
    if (distinct == 0) {
        distinct = state.statistics->DistinctColumn(column);
    }
}

}  // namespace upkeep::sqlite
