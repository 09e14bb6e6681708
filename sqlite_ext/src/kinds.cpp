// SPDX-License-Identifier: PostgreSQL
#include "kinds.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "stmt.h"

namespace upkeep::sqlite {

namespace {

using advisor::IndexKind;
using advisor::KindCondition;
using advisor::Operator;

/// The constant as SQL; empty: none that DDL should carry.
std::string LiteralSql(sqlite3_value* value) {
    switch (sqlite3_value_type(value)) {
        case SQLITE_INTEGER:
            return std::to_string(sqlite3_value_int64(value));
        case SQLITE_TEXT: {
            const std::string_view text(reinterpret_cast<const char*>(sqlite3_value_text(value)),
                                        static_cast<size_t>(sqlite3_value_bytes(value)));
            if (text.find('\0') != std::string_view::npos) {
                return "";
            }
            std::string sql = "'";
            for (const char c : text) {
                sql += c == '\'' ? "''" : std::string(1, c);
            }
            return sql + "'";
        }
        default:
            return "";
    }
}

/// The term as the WHERE of an index; empty: it makes none. Ranges make none: their constants age.
std::string PredicateSql(const Term& term, const CatalogColumn& column, const TextFacts& text) {
    const std::string name = QuotedIfNeeded(column.name);
    if (term.op == SQLITE_INDEX_CONSTRAINT_ISNULL) {
        return name + " IS NULL";
    }
    if (term.op == SQLITE_INDEX_CONSTRAINT_ISNOTNULL) {
        return name + " IS NOT NULL";
    }
    if (term.is_join || Lower(term.collation) != Lower(column.collation)) {
        return "";
    }
    if (term.is_in) {
        const auto lists = text.in_lists.find(Lower(column.name));
        const bool is_constant =
            lists != text.in_lists.end() && !lists->second.front().list.empty();
        return is_constant ? name + " IN " + lists->second.front().list : "";
    }
    if (term.op != SQLITE_INDEX_CONSTRAINT_EQ || !term.literal.is_known()) {
        return "";
    }
    const std::string literal = LiteralSql(term.literal.get());
    return literal.empty() ? "" : name + " = " + literal;
}

void AddPartial(const std::vector<PricedTerm>& terms, const RelationState& relation,
                const TextFacts& text, advisor::RelationUse* use) {
    for (const PricedTerm& priced : terms) {
        if (priced.term.column < 0) {
            continue;
        }
        const CatalogColumn& column = relation.columns[static_cast<size_t>(priced.term.column)];
        KindCondition condition;
        condition.sql = PredicateSql(priced.term, column, text);
        if (condition.sql.empty()) {
            continue;
        }
        const bool is_null_test = priced.term.op == SQLITE_INDEX_CONSTRAINT_ISNULL ||
                                  priced.term.op == SQLITE_INDEX_CONSTRAINT_ISNOTNULL;
        condition.kind = IndexKind::kPartial;
        condition.op = is_null_test ? Operator::kIsNull : Operator::kEqual;
        condition.columns = {priced.term.column};
        condition.selectivity = priced.share;
        condition.text = condition.sql;
        use->conditions.push_back(std::move(condition));
    }
}

/// Built in and deterministic: what the application registered may be neither, and is not there
/// when another program opens the file.
bool IsBuiltIn(sqlite3* caller, const std::string& function) {
    Result<Stmt> known = Stmt::Prepare(caller,
                                       "SELECT 1 FROM pragma_function_list WHERE name = ?1 AND "
                                       "builtin AND flags & 0x800");
    if (!known.ok()) {
        return false;
    }
    sqlite3_bind_text(known.value().get(), 1, function.c_str(), -1, SQLITE_TRANSIENT);
    return sqlite3_step(known.value().get()) == SQLITE_ROW;
}

/// Positions of the expression's columns in the relation, ascending; empty: it is about another.
std::vector<int> ColumnsOf(const ComparedExpression& expression, const PricedMention& mention) {
    static constexpr std::string_view kOtherWords[] = {
        "as", "text", "integer", "real", "blob", "null", "numeric", "collate", "nocase"};
    const bool is_here =
        std::all_of(expression.qualifiers.begin(), expression.qualifiers.end(),
                    [&](const std::string& qualifier) {
                        return qualifier == mention.alias || qualifier == mention.table;
                    });
    std::set<int> columns;
    for (const std::string& name : expression.names) {
        const auto found =
            std::find_if(mention.columns.begin(), mention.columns.end(),
                         [&](const CatalogColumn& column) { return Lower(column.name) == name; });
        if (found != mention.columns.end()) {
            columns.insert(static_cast<int>(found - mention.columns.begin()));
        } else if (std::find(std::begin(kOtherWords), std::end(kOtherWords), name) ==
                   std::end(kOtherWords)) {
            return {};
        }
    }
    return is_here ? std::vector<int>(columns.begin(), columns.end()) : std::vector<int>();
}

/// Date functions are deterministic but for these words, and an index with them cannot be written.
bool AsksTheClock(const ComparedExpression& expression) {
    return std::any_of(expression.strings.begin(), expression.strings.end(),
                       [](const std::string& text) {
                           return text == "'now'" || text == "'localtime'" || text == "'utc'";
                       });
}

void AddExpressions(sqlite3* caller, std::string_view statement, const PricedMention& mention,
                    advisor::RelationUse* use) {
    for (const ComparedExpression& expression : ScanExpressions(statement)) {
        KindCondition condition;
        condition.columns = ColumnsOf(expression, mention);
        if (condition.columns.empty()) {
            continue;
        }
        const bool is_built_in = std::all_of(
            expression.functions.begin(), expression.functions.end(),
            [&](const std::string& name) { return name == "cast" || IsBuiltIn(caller, name); });
        if (!is_built_in || AsksTheClock(expression)) {
            use->refusals.push_back({IndexKind::kExpression, expression.sql,
                                     "only built-in functions whose result never changes can be "
                                     "indexed here"});
            continue;
        }
        condition.kind = IndexKind::kExpression;
        condition.sql = expression.sql;
        condition.op = expression.op == '='   ? Operator::kEqual
                       : expression.op == 'I' ? Operator::kIn
                                              : Operator::kRange;
        condition.text = expression.sql + (expression.op == '='   ? " = …"
                                           : expression.op == 'I' ? " IN (…)"
                                                                  : " in a range");
        use->conditions.push_back(std::move(condition));
    }
}

/// Why no index proposed here serves the term, with its condition; nullopt: one may.
std::optional<advisor::KindRefusal> RefusalOf(const Term& term, const CatalogColumn& column,
                                              bool is_ranged) {
    const std::string name = QuotedIfNeeded(column.name);
    const auto refuse = [&](const char* condition, std::string because) {
        return advisor::KindRefusal{IndexKind::kBtree, name + condition, std::move(because)};
    };
    switch (term.op) {
        case SQLITE_INDEX_CONSTRAINT_NE:
        case SQLITE_INDEX_CONSTRAINT_ISNOT:
            return refuse(" <> …", "an index finds what is equal or in a range, not all the rest");
        case SQLITE_INDEX_CONSTRAINT_LIKE:
            if (is_ranged) {  // what LIKE and GLOB begin with, where an index can serve it
                return std::nullopt;
            }
            return refuse(" LIKE …",
                          "LIKE ignores case: an index on the column COLLATE NOCASE serves a "
                          "pattern that begins with letters, only FTS5 with its trigram tokenizer "
                          "one that does not");
        case SQLITE_INDEX_CONSTRAINT_GLOB:
            if (is_ranged) {
                return std::nullopt;
            }
            return refuse(" GLOB …",
                          "an index serves only a pattern that is known and does not "
                          "begin with a wildcard");
        case SQLITE_INDEX_CONSTRAINT_EQ:
        case SQLITE_INDEX_CONSTRAINT_GT:
        case SQLITE_INDEX_CONSTRAINT_GE:
        case SQLITE_INDEX_CONSTRAINT_LT:
        case SQLITE_INDEX_CONSTRAINT_LE:
            if (Lower(term.collation) == Lower(column.collation)) {
                return std::nullopt;
            }
            return refuse(" …", "it is compared by the collation " + term.collation +
                                    ", and indexes are proposed with the column's own, " +
                                    column.collation);
        default:
            return std::nullopt;
    }
}

void AddRefusals(const std::vector<PricedTerm>& terms, const RelationState& relation,
                 advisor::RelationUse* use) {
    const auto is_ranged = [&](int column) {
        return std::any_of(terms.begin(), terms.end(), [&](const PricedTerm& other) {
            return other.term.column == column && (other.term.op == SQLITE_INDEX_CONSTRAINT_GE ||
                                                   other.term.op == SQLITE_INDEX_CONSTRAINT_LT);
        });
    };
    for (const PricedTerm& priced : terms) {
        if (priced.term.column < 0) {
            continue;
        }
        const CatalogColumn& column = relation.columns[static_cast<size_t>(priced.term.column)];
        if (auto refusal = RefusalOf(priced.term, column, is_ranged(priced.term.column))) {
            use->refusals.push_back(std::move(*refusal));
        }
    }
}

}  // namespace

void AddKinds(sqlite3* caller, std::string_view statement, const PricedMention& mention,
              const RelationState& relation, const TextFacts& text, advisor::RelationUse* use) {
    AddPartial(mention.terms, relation, text, use);
    AddRefusals(mention.terms, relation, use);
    for (const std::vector<PricedTerm>& branch : mention.branches) {
        AddPartial(branch, relation, text, use);
        AddRefusals(branch, relation, use);
    }
    AddExpressions(caller, statement, mention, use);
}

}  // namespace upkeep::sqlite
