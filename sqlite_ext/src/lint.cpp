// SPDX-License-Identifier: PostgreSQL
#include "lint.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "analysis.h"
#include "captured.h"
#include "catalog.h"
#include "index_inventory.h"
#include "relations.h"
#include "replica.h"
#include "stmt.h"
#include "upkeep/capture/lint.h"

namespace upkeep::sqlite {

namespace {

using capture::LintComparison;
using capture::LintCondition;
using capture::LintFacts;
using capture::LintOperand;
using capture::LintStatement;
using capture::LintText;
using Kind = capture::LintOperand::Kind;

constexpr size_t kMostStatements = 1000;

/// What decides how SQLite compares. Source: sqlite.org/datatype3.html#type_affinity
enum class Affinity : uint8_t { kNone, kText, kNumber };

Affinity AffinityOf(const std::string& declared) {
    const std::string type = Lower(declared);
    const auto has = [&type](const char* part) { return type.find(part) != std::string::npos; };
    if (has("int")) {
        return Affinity::kNumber;
    }
    if (has("char") || has("clob") || has("text")) {
        return Affinity::kText;
    }
    return has("blob") || type.empty() ? Affinity::kNone : Affinity::kNumber;
}

/// Converts the comparison the values of `column`, for the sake of `other`?
bool IsConverted(Affinity column, Affinity other) {
    return (other == Affinity::kNumber && column != Affinity::kNumber) ||
           (other == Affinity::kText && column == Affinity::kNone);
}

struct Table {
    CatalogTable catalog;
    std::string shown;  // quoted, qualified where needed
    std::vector<CatalogColumn> columns;
    std::vector<bool> is_not_null;
    std::vector<CatalogIndex> indexes;
    double rows = 0;
    bool is_analysed = true;
    int rowid = -1;  // the column that is the rowid
};

int PlaceOf(const Table& table, const std::string& column) {
    for (size_t i = 0; i < table.columns.size(); ++i) {
        if (Lower(table.columns[i].name) == Lower(column)) {
            return static_cast<int>(i);
        }
    }
    return -1;
}

std::string NameAt(const Table& table, int column) {
    return QuotedIfNeeded(table.columns[static_cast<size_t>(column)].name);
}

/// A column of a table of the statement.
struct Place {
    const Table* table = nullptr;
    int column = -1;
    explicit operator bool() const { return table != nullptr; }
    std::string Name() const { return NameAt(*table, column); }
};

/// The tables of this connection's database, each read once a call.
class Tables {
  public:
    explicit Tables(sqlite3* db) : db_(db), catalog_(db), replica_(db, catalog_) {}

    const Replica& replica() const { return replica_; }

    /// nullptr: no table or view of this name.
    const Table* Find(const std::string& schema, const std::string& name) {
        const CatalogTable* found = nullptr;
        if (!schema.empty()) {
            found = catalog_.Find(schema, name);
        } else {
            for (const std::string& one : {std::string("temp"), std::string("main")}) {
                found = found != nullptr ? found : catalog_.Find(one, name);
            }
            for (const std::string& one : catalog_.schemas()) {
                found = found != nullptr ? found : catalog_.Find(one, name);
            }
        }
        if (found == nullptr || found->kind == TableKind::kVirtual ||
            found->kind == TableKind::kShadow || Lower(name).rfind("sqlite_", 0) == 0) {
            return nullptr;
        }
        const auto [place, is_new] = known_.try_emplace(KeyOf(found->schema, found->name));
        if (is_new) {
            Read(*found, &place->second);
        }
        return &place->second;
    }

    /// The statement if it makes an index in a database like this one; else empty.
    std::string Indexable(const std::string& create_sql) const {
        const Result<Stmt> tried = Stmt::Prepare(replica_.db(), create_sql);
        return tried.ok() ? create_sql : std::string();
    }

  private:
    void Read(const CatalogTable& from, Table* table) {
        table->catalog = from;
        table->shown = ShownTable(from);
        table->columns = ReadColumns(db_, from.schema, from.name);
        Stmt info(db_, "PRAGMA " + Quoted(from.schema) + ".table_xinfo(" + Quoted(from.name) + ")");
        int keys = 0;
        int last_key = -1;
        for (int i = 0; info.Step(); ++i) {
            table->is_not_null.push_back(info.Integer(3) != 0);
            if (info.Integer(5) > 0) {
                ++keys;
                last_key = i;
            }
        }
        if (from.kind != TableKind::kTable) {
            return;
        }
        if (keys == 1 && !from.is_without_rowid &&
            Lower(table->columns[static_cast<size_t>(last_key)].type) == "integer") {
            table->rowid = last_key;
            table->is_not_null[static_cast<size_t>(last_key)] = true;
        }
        table->indexes = ReadIndexes(db_, from.schema, from.name);
        table->rows = static_cast<double>(EstimateRows(db_, from).value_or(0));
        table->is_analysed = AnalysedRows(db_, from).has_value();
    }

    sqlite3* db_;
    Catalog catalog_;
    Replica replica_;
    std::map<TableKey, Table> known_;
};

/// Name of an index that begins with the column; empty: none.
std::string LeadingIndex(const Place& place) {
    if (place.column == place.table->rowid) {
        return "INTEGER PRIMARY KEY";
    }
    for (const CatalogIndex& index : place.table->indexes) {
        if (!index.keys.empty() && index.keys[0].column == place.column) {
            return index.name;
        }
    }
    return "";
}

std::string Squeezed(std::string_view text) {
    std::string out;
    for (const char c : Lower(text)) {
        if (c != ' ' && c != '"' && c != '\n' && c != '\t') {
            out += c;
        }
    }
    return out;
}

/// Is there an index with a call of this function in it? The literals of a captured text are gone,
/// so which call exactly cannot be told.
bool HasExpressionIndex(const Table& table, const std::string& function) {
    return std::any_of(table.indexes.begin(), table.indexes.end(), [&](const CatalogIndex& index) {
        return Squeezed(index.sql).find(function + "(") != std::string::npos;
    });
}

class Facts {
  public:
    Facts(Tables& tables, const LintText& text) : tables_(tables), text_(text) {
        for (const LintText::Name& name : text.names) {
            if (const Table* table = tables.Find(name.schema, name.table)) {
                mentions_.push_back({table, name.alias, name.depth});
            }
        }
    }

    LintFacts Make() {
        facts_.has_limit = text_.has_limit;
        facts_.has_offset = text_.has_offset;
        AddTables();
        for (const LintComparison& one : text_.comparisons) {
            AddFunction(one.left);
            AddFunction(one.right);
            AddConversion(one.left, one.right);
            AddConversion(one.right, one.left);
            AddPattern(one);
        }
        AddNotIn();
        AddKeyset();
        return std::move(facts_);
    }

  private:
    struct Mention {
        const Table* table;
        std::string alias;
        int depth;
    };

    /// The column that an operand names, if only one table of the statement can be meant.
    Place Resolve(const LintOperand& operand) const {
        Place found;
        for (const Mention& mention : mentions_) {
            if (!operand.qualifier.empty() && Lower(mention.alias) != Lower(operand.qualifier)) {
                continue;
            }
            const int column = PlaceOf(*mention.table, operand.column);
            if (column < 0 || mention.table->catalog.kind != TableKind::kTable) {
                continue;
            }
            if (found && found.table != mention.table) {
                return {};
            }
            found = {mention.table, column};
        }
        return found;
    }

    static LintCondition Condition(const Place& place) {
        LintCondition made;
        made.table = place.table->shown;
        made.column = place.Name();
        made.table_rows = place.table->rows;
        made.index_name = LeadingIndex(place);
        return made;
    }

    void AddTables() {
        for (const Mention& mention : mentions_) {
            capture::LintTable made;
            made.name = mention.table->shown;
            made.alias = mention.alias;
            made.rows = mention.table->rows;
            // Without an index there is nothing to choose.
            made.is_analysed = mention.table->is_analysed || mention.table->indexes.empty();
            made.is_shown = mention.depth == 0;
            for (const CatalogColumn& column : mention.table->columns) {
                if (!column.is_hidden) {
                    made.columns.push_back(QuotedIfNeeded(column.name));
                }
            }
            facts_.tables.push_back(std::move(made));
        }
    }

    void AddFunction(const LintOperand& operand) {
        const bool is_cast = operand.kind == Kind::kCast && !operand.column.empty();
        const Place place = operand.kind == Kind::kFunction || is_cast ? Resolve(operand) : Place();
        if (!place || HasExpressionIndex(*place.table, operand.function)) {
            return;
        }
        LintCondition made = Condition(place);
        made.expression = operand.text;
        if (!operand.has_literal) {
            made.create_sql = tables_.Indexable(
                "CREATE INDEX " +
                IndexName(*place.table,
                          operand.function + "_" +
                              place.table->columns[static_cast<size_t>(place.column)].name) +
                " ON " + QuotedIfNeeded(place.table->catalog.name) + " (" + Bare(operand, place) +
                ")");
        }
        facts_.functions.push_back(std::move(made));
    }

    /// The call without the table's name in front of the column: an index allows none.
    static std::string Bare(const LintOperand& operand, const Place& place) {
        std::string text = operand.text;
        const std::string head = operand.qualifier + ".";
        for (size_t at = text.find(head); !operand.qualifier.empty() && at != std::string::npos;
             at = text.find(head)) {
            text.erase(at, head.size());
        }
        const bool is_plain =
            operand.kind == Kind::kFunction && std::count(text.begin(), text.end(), ',') == 0;
        return is_plain ? operand.function + "(" + place.Name() + ")" : text;
    }

    static std::string IndexName(const Table& table, const std::string& what) {
        const std::string name = table.catalog.name + "_" + what;
        return table.catalog.schema == "main"
                   ? QuotedIfNeeded(name)
                   : QuotedIfNeeded(table.catalog.schema) + "." + QuotedIfNeeded(name);
    }

    void AddConversion(const LintOperand& column, const LintOperand& other) {
        const Place place = column.kind == Kind::kColumn ? Resolve(column) : Place();
        if (!place) {
            return;
        }
        std::string type;
        if (other.kind == Kind::kCast) {
            type = other.cast_type;
        } else if (const Place partner = other.kind == Kind::kColumn ? Resolve(other) : Place()) {
            type = partner.table->columns[static_cast<size_t>(partner.column)].type;
            if (type.empty()) {
                return;  // no type converts nothing
            }
        } else {
            return;
        }
        const std::string own = place.table->columns[static_cast<size_t>(place.column)].type;
        LintCondition made = Condition(place);
        if (!IsConverted(AffinityOf(own), AffinityOf(type)) || made.index_name.empty()) {
            return;
        }
        made.expression = "a number";
        if (AffinityOf(type) == Affinity::kText) {
            made.expression = "a text";
        }
        made.detail = Lower(type) + " and it is " + (own.empty() ? "of no type" : Lower(own));
        made.create_sql = own.empty() ? "declare a type for " + place.Name()
                                      : "CAST(other AS " + own + "), or declare both alike";
        facts_.casts.push_back(std::move(made));
    }

    void AddPattern(const LintComparison& one) {
        const Place place =
            one.has_wildcard && one.left.kind == Kind::kColumn ? Resolve(one.left) : Place();
        if (place) {
            facts_.wildcards.push_back(Condition(place));
        }
    }

    void AddNotIn() {
        for (const LintText::NotIn& one : text_.not_in) {
            const Place place = Resolve(one.column);
            if (place && !one.excludes_null &&
                !place.table->is_not_null[static_cast<size_t>(place.column)]) {
                facts_.not_in.push_back(Condition(place));
            }
        }
    }

    /// Is the set of columns unique in the table?
    static bool IsUnique(const Table& table, const std::vector<int>& columns) {
        const auto has = [&columns](int column) {
            return std::find(columns.begin(), columns.end(), column) != columns.end();
        };
        if (table.rowid >= 0 && has(table.rowid)) {
            return true;
        }
        return std::any_of(table.indexes.begin(), table.indexes.end(), [&](const auto& index) {
            return index.is_unique && !index.is_partial &&
                   std::all_of(index.keys.begin(), index.keys.end(), [&](const auto& key) {
                       return key.column >= 0 && has(key.column) &&
                              table.is_not_null[static_cast<size_t>(key.column)];
                   });
        });
    }

    static std::vector<std::string> UniqueKey(const Table& table) {
        if (table.rowid >= 0) {
            return {NameAt(table, table.rowid)};
        }
        for (const CatalogIndex& index : table.indexes) {
            std::vector<int> columns;
            std::vector<std::string> names;
            for (const CatalogIndexKey& key : index.keys) {
                columns.push_back(key.column);
                if (key.column >= 0) {
                    names.push_back(NameAt(table, key.column));
                }
            }
            if (index.is_unique && IsUnique(table, columns)) {
                return names;
            }
        }
        return {};
    }

    void AddKeyset() {
        const bool is_simple = mentions_.size() == 1 && text_.names.size() == 1 &&
                               !text_.is_compound && text_.has_limit && !text_.order.empty();
        if (!is_simple || mentions_[0].table->catalog.kind != TableKind::kTable) {
            return;
        }
        const Table& table = *mentions_[0].table;
        capture::LintKeyset keyset;
        keyset.table = table.shown;
        keyset.tie_breaker = UniqueKey(table);
        keyset.is_descending = text_.order[0].is_descending;
        std::vector<int> columns;
        for (const LintText::Key& key : text_.order) {
            const Place place = key.operand.kind == Kind::kColumn ? Resolve(key.operand) : Place();
            if (!place) {
                return;
            }
            columns.push_back(place.column);
            keyset.order.push_back(place.Name());
        }
        const int first = columns[0];
        bool goes_on = false;
        for (const LintComparison& one : text_.comparisons) {
            const bool is_swapped = one.left.kind == Kind::kLiteral;
            const LintOperand& column = is_swapped ? one.right : one.left;
            const LintOperand& value = is_swapped ? one.left : one.right;
            const Place place = column.kind == Kind::kColumn ? Resolve(column) : Place();
            if (!place || value.kind != Kind::kLiteral) {
                continue;
            }
            if (one.op == "=") {
                columns.push_back(place.column);
            }
            const char* onwards = keyset.is_descending != is_swapped ? "<" : ">";
            goes_on = goes_on || (place.column == first && one.op == onwards);
        }
        if (goes_on && !IsUnique(table, columns)) {
            facts_.keyset = std::move(keyset);
        }
    }

    Tables& tables_;
    const LintText& text_;
    std::vector<Mention> mentions_;
    LintFacts facts_;
};

}  // namespace

void LintStatements(sqlite3* db, RowSink& rows) {
    const std::vector<LintStatement> statements =
        capture::LintWorkload(ReadStatements(db), /*has_blocks=*/false, kMostStatements);
    if (statements.empty()) {
        return;
    }
    Tables tables(db);
    for (const LintStatement& statement : statements) {
        // What does not prepare any more (a table is gone) is left out.
        if (!PrepareStatement(tables.replica(), db, statement.query).ok()) {
            continue;
        }
        const LintText text = capture::ScanLintText(statement.query, capture::SqlDialect::kSqlite);
        capture::LintRows(statement, Facts(tables, text).Make(), capture::SqlDialect::kSqlite,
                          rows);
    }
}

}  // namespace upkeep::sqlite
