// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/lint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>

#include "upkeep/capture/text_table.h"

namespace upkeep::capture {

namespace {

// Limits are first values of our own.
constexpr double kManyRows = 1000;       // of a table: below, no index pays
constexpr double kUnboundedRows = 1000;  // that a call returns
constexpr double kUnboundedMany = 100000;
constexpr double kBlocksOfOffset = 100;  // that a call reads, and ten for each row it returns
constexpr double kSpread = 10;           // slowest call against the fastest
constexpr uint64_t kSpreadCalls = 5;
constexpr double kSpreadMs = 1;
constexpr size_t kNamedColumns = 30;  // that a suggestion lists

std::string Number(double number) {
    std::array<char, 64> buffer{};
    const bool is_small = number < 100 && number != std::floor(number);
    const auto end =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::clamp(number, 0.0, 1e18),
                      std::chars_format::fixed, is_small ? 2 : 0);
    return std::string(buffer.data(), end.ptr);
}

std::string Joined(const std::vector<std::string>& items, std::string_view separator) {
    std::string text;
    for (const std::string& item : items) {
        text += text.empty() ? "" : separator;
        text += item;
    }
    return text;
}

class Linter {
  public:
    Linter(const LintStatement& statement, const LintFacts& facts, SqlDialect dialect,
           RowSink& rows)
        : statement_(statement), facts_(facts), dialect_(dialect), rows_(rows) {
        const StatementTotals& totals = statement.totals;
        calls_ = static_cast<double>(std::max<uint64_t>(totals.calls, 1));
        rows_a_call_ = static_cast<double>(totals.rows) / calls_;
        measured_ = Number(static_cast<double>(totals.calls)) + " calls, " +
                    Number(static_cast<double>(totals.total_ns) / 1e6) + " ms in all, " +
                    Number(rows_a_call_) + " rows a call";
    }

    void All() {
        LargeOffset();
        Keyset();
        Unbounded();
        Wildcards();
        Functions();
        Casts();
        NotIn();
        Star();
        MissingStatistics();
    }

  private:
    void Add(const char* code, const char* severity, const std::string& evidence,
             std::string suggestion) {
        rows_.Add({std::string(code), std::string(severity), statement_.fingerprint,
                   statement_.query, evidence + "; " + measured_, std::move(suggestion)});
    }

    static double Ms(uint64_t ns) { return static_cast<double>(ns) / 1e6; }

    void LargeOffset() {
        if (!facts_.has_offset || statement_.operation != Operation::kSelect) {
            return;
        }
        std::string evidence;
        const StatementTotals& totals = statement_.totals;
        if (statement_.blocks) {
            const double blocks = static_cast<double>(*statement_.blocks) / calls_;
            if (blocks >= kBlocksOfOffset && blocks >= 10 * rows_a_call_) {
                evidence = "OFFSET, and a call reads " + Number(blocks) + " blocks to return " +
                           Number(rows_a_call_) + " rows";
            }
        } else if (totals.calls >= kSpreadCalls && Ms(totals.max_ns) >= kSpreadMs &&
                   Ms(totals.max_ns) >= kSpread * Ms(totals.min_ns)) {
            evidence = "OFFSET, the fastest call took " + Number(Ms(totals.min_ns)) +
                       " ms and the slowest " + Number(Ms(totals.max_ns)) + " ms";
        }
        if (!evidence.empty()) {
            Add("large_offset", "medium",
                evidence + ": rows before the page are read and thrown away",
                "page by the last row seen: WHERE (order column, unique column) > (last values) "
                "ORDER BY both LIMIT n, with an index on both");
        }
    }

    void Keyset() {
        // One row is "the one before", not a page.
        if (!facts_.keyset || rows_a_call_ <= 1) {
            return;
        }
        const LintKeyset& keyset = *facts_.keyset;
        const std::string order = Joined(keyset.order, ", ");
        std::string suggestion;
        if (keyset.tie_breaker.empty()) {
            suggestion = "give " + keyset.table + " a unique column and order by it last";
        } else {
            const char* direction = keyset.is_descending ? " DESC" : "";
            std::vector<std::string> all = keyset.order;
            for (const std::string& column : keyset.tie_breaker) {
                if (std::find(all.begin(), all.end(), column) == all.end()) {
                    all.push_back(column);
                }
            }
            suggestion = "WHERE (" + Joined(all, ", ") + ") " + (keyset.is_descending ? "<" : ">") +
                         " (last values) ORDER BY " + Joined(all, std::string(direction) + ", ") +
                         direction + " LIMIT n";
        }
        Add("keyset_without_tiebreaker", "high",
            "pages by " + order + " of " + keyset.table +
                ", which no unique key makes unique: rows that share the last value of a page are "
                "skipped",
            std::move(suggestion));
    }

    void Unbounded() {
        if (statement_.operation != Operation::kSelect || facts_.has_limit ||
            statement_.totals.calls == 0 || rows_a_call_ < kUnboundedRows) {
            return;
        }
        Add("unbounded_result", rows_a_call_ >= kUnboundedMany ? "high" : "medium",
            "no LIMIT, and a call returns " + Number(rows_a_call_) + " rows",
            "filter and aggregate in SQL, or read pages: ORDER BY a unique column LIMIT n, "
            "then WHERE that column > last value");
    }

    void Wildcards() {
        for (const LintCondition& found : facts_.wildcards) {
            if (found.table_rows < kManyRows) {
                continue;
            }
            Add("leading_wildcard", "medium",
                "the first pattern seen for " + found.table + "." + found.column +
                    " began with a wildcard, so no B-tree can seek it; the table has about " +
                    Number(found.table_rows) + " rows",
                !found.create_sql.empty() ? found.create_sql
                                          : "search from the beginning (LIKE 'x%'), or keep a "
                                            "full-text index (FTS5) of " +
                                                found.table + "." + found.column);
        }
    }

    void Functions() {
        for (const LintCondition& found : facts_.functions) {
            if (found.table_rows < kManyRows) {
                continue;
            }
            const std::string bare = "compare the bare column with a range: " + found.column +
                                     " >= lower bound AND " + found.column + " < upper bound";
            Add("function_on_column", "medium",
                found.expression + " hides " + found.table + "." + found.column +
                    " from its indexes" +
                    (found.index_name.empty() ? "" : " (" + found.index_name + ")") +
                    ", and none is on the expression; the table has about " +
                    Number(found.table_rows) + " rows",
                found.create_sql.empty() ? bare : found.create_sql);
        }
    }

    void Casts() {
        for (const LintCondition& found : facts_.casts) {
            if (found.table_rows < kManyRows) {
                continue;
            }
            Add("implicit_cast", "medium",
                found.table + "." + found.column + " is compared as " + found.expression +
                    " because the other side is " + found.detail + ", so index " +
                    found.index_name + " is of no use; the table has about " +
                    Number(found.table_rows) + " rows",
                "give the other side the type of the column: " + found.create_sql);
        }
    }

    void NotIn() {
        for (const LintCondition& found : facts_.not_in) {
            Add("not_in_subquery", "high",
                "NOT IN over " + found.table + "." + found.column +
                    ", which may be NULL: one NULL there and the condition is true for no row",
                "NOT EXISTS (SELECT 1 FROM " + found.table + " WHERE " + found.table + "." +
                    found.column + " = outer column), or add AND " + found.column +
                    " IS NOT NULL to the subquery");
        }
    }

    void Star() {
        const LintText text = ScanLintText(statement_.query, dialect_);
        if (statement_.operation != Operation::kSelect || text.stars.empty()) {
            return;
        }
        std::vector<std::string> tables;
        std::vector<std::string> columns;
        for (const LintTable& table : facts_.tables) {
            const bool is_named = std::any_of(
                text.stars.begin(), text.stars.end(),
                [&](const std::string& star) { return star.empty() || star == table.alias; });
            if (table.is_shown && is_named && !table.columns.empty()) {
                tables.push_back(table.name + " (" + std::to_string(table.columns.size()) + ")");
                columns.insert(columns.end(), table.columns.begin(), table.columns.end());
            }
        }
        if (tables.empty()) {
            return;
        }
        const bool is_cut = columns.size() > kNamedColumns;
        columns.resize(std::min(columns.size(), kNamedColumns));
        Add("select_star", "info", "reads every column of " + Joined(tables, ", "),
            "name those that are used: SELECT " + Joined(columns, ", ") + (is_cut ? ", ..." : ""));
    }

    void MissingStatistics() {
        std::vector<std::string> names;
        std::string evidence;
        for (const LintTable& table : facts_.tables) {
            if (!table.is_analysed && table.rows >= kManyRows &&
                std::find(names.begin(), names.end(), table.name) == names.end()) {
                names.push_back(table.name);
                evidence += (evidence.empty() ? "" : ", ") + table.name + " (about " +
                            Number(table.rows) + " rows)";
            }
        }
        if (!names.empty()) {
            const char* separator = dialect_ == SqlDialect::kPostgres ? ", " : "; ANALYZE ";
            Add("missing_statistics", "medium",
                "never analysed, so the planner guesses: " + evidence,
                "ANALYZE " + Joined(names, separator));
        }
    }

    const LintStatement& statement_;
    const LintFacts& facts_;
    SqlDialect dialect_;
    RowSink& rows_;
    double calls_ = 1;
    double rows_a_call_ = 0;
    std::string measured_;
};

bool IsPlanned(Operation operation) {
    return operation != Operation::kUtility && operation != Operation::kOther;
}

}  // namespace

std::vector<LintStatement> LintWorkload(std::span<const StatementView> views, bool has_blocks,
                                        size_t limit) {
    std::map<std::pair<int64_t, std::string>, LintStatement> found;
    for (const StatementView& view : views) {
        const StatementTotals& totals = view.counts.totals;
        if (!view.is_visible || !IsPlanned(view.counts.operation) || totals.calls == 0 ||
            view.query.empty() || view.query == kNotKept ||
            view.query.find("/* cut */") != std::string::npos) {
            continue;
        }
        LintStatement& one = found[{view.counts.key.fingerprint, view.query}];
        one.fingerprint = view.counts.key.fingerprint;
        one.query = view.query;
        one.operation = view.counts.operation;
        one.user = view.counts.key.user;
        one.totals.calls += totals.calls;
        one.totals.rows += totals.rows;
        one.totals.total_ns += totals.total_ns;
        one.totals.min_ns = std::min(one.totals.min_ns, totals.min_ns);
        one.totals.max_ns = std::max(one.totals.max_ns, totals.max_ns);
        if (has_blocks) {
            one.blocks = one.blocks.value_or(0) + totals.hit_blocks + totals.read_blocks;
        }
    }
    std::vector<LintStatement> statements;
    statements.reserve(found.size());
    for (auto& [key, one] : found) {
        statements.push_back(std::move(one));
    }
    std::stable_sort(statements.begin(), statements.end(), [](const auto& l, const auto& r) {
        return l.totals.total_ns > r.totals.total_ns;
    });
    statements.resize(std::min(statements.size(), limit));
    return statements;
}

void LintRows(const LintStatement& statement, const LintFacts& facts, SqlDialect dialect,
              RowSink& rows) {
    Linter(statement, facts, dialect, rows).All();
}

}  // namespace upkeep::capture
