// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/finding_rows.h"

#include <algorithm>
#include <vector>

#include "tokenizer.h"
#include "upkeep/capture/rows.h"
#include "upkeep/capture/statement_kind.h"

namespace upkeep::capture {

namespace {

std::string FirstTable(const std::string& query, SqlDialect dialect) {
    const std::string tables = TablesOf(Normalize(query, dialect));
    return tables.substr(0, tables.find('\n'));
}

/// The column of the first `column = ?`, as it is written; empty: there is none.
std::string ComparedColumn(const std::string& query, SqlDialect dialect) {
    const std::string normalized = Normalize(query, dialect);
    Tokenizer tokenizer(normalized, SqlDialect::kSqlite);  // where `?` is a value
    Token column;
    bool is_compared = false;
    for (Token token = tokenizer.Next(); token.kind != Kind::kEnd; token = tokenizer.Next()) {
        if (is_compared && token.kind == Kind::kLiteral) {
            return std::string(column.text);
        }
        is_compared = token.kind == Kind::kOperator && token.text == "=" &&
                      (column.kind == Kind::kWord || column.kind == Kind::kQuoted);
        column = is_compared ? column : token;
    }
    return {};
}

std::string Batched(const std::string& column, SqlDialect dialect) {
    return column + (dialect == SqlDialect::kPostgres ? " = ANY ($1)" : " IN (?, …)");
}

Value Text(bool is_visible, const std::string& text) {
    return is_visible ? text : std::string(kHidden);
}

Row RowOf(const FindingView& view, SqlDialect dialect) {
    const FindingKey& key = view.finding.key;
    const FindingTotals& totals = view.finding.totals;
    const bool shows = view.is_visible;
    const Value endpoint = view.endpoint.empty() ? Value() : Value(view.endpoint);
    return {shows ? Value(key.parent) : Value(),
            Text(shows, view.parent_query),
            shows ? Value(key.child) : Value(),
            Text(shows, view.child_query),
            shows ? endpoint : Value(std::string(kHidden)),
            static_cast<int64_t>(totals.occurrences),
            static_cast<int64_t>(view.finding.MaxRepeats()),
            static_cast<int64_t>(totals.total_repeats),
            static_cast<double>(totals.total_ns) / 1e6,
            Timestamp{totals.last_seen_us},
            shows ? Value(SuggestionFor(view, dialect)) : Value(),
            std::string(FindingKindName(key.kind)),
            view.database_name};
}

}  // namespace

std::string SuggestionFor(const FindingView& view, SqlDialect dialect) {
    const std::string child = FirstTable(view.child_query, dialect);
    const std::string parent = FirstTable(view.parent_query, dialect);
    const std::string column = ComparedColumn(view.child_query, dialect);
    const std::string what = child.empty() ? "the child's rows" : child;
    const std::string from = parent.empty() ? "the parent statement" : "the SELECT on " + parent;
    if (view.finding.key.kind == FindingKind::kRepeatedRead) {
        return "the same values are read from " + what + " again and again after " + from +
               ": read them once and keep them for the request, or cache them";
    }
    const std::string batch =
        column.empty() ? "or read them by one SELECT for all keys of the parent's rows"
                       : "or read them by one SELECT … WHERE " + Batched(column, dialect) +
                             " with the keys of all rows of the parent";
    return "one SELECT on " + what + " for each row of " + from + ": join " + what + " there, " +
           batch + "; in an ORM load the relation eagerly (selectinload, joinedload)";
}

void FindingRows(std::span<const FindingView> findings, SqlDialect dialect, RowSink& rows) {
    std::vector<const FindingView*> sorted;
    for (const FindingView& view : findings) {
        if (view.finding.totals.occurrences != 0) {
            sorted.push_back(&view);
        }
    }
    std::stable_sort(sorted.begin(), sorted.end(), [](const FindingView* l, const FindingView* r) {
        return l->finding.totals.total_ns > r->finding.totals.total_ns;
    });
    for (const FindingView* view : sorted) {
        rows.Add(RowOf(*view, dialect));
    }
}

}  // namespace upkeep::capture
