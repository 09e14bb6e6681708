// The advisor's calls: index advice and what-if.
// SPDX-License-Identifier: PostgreSQL
#include "../base/calls.h"

namespace upkeep {

namespace {

constexpr Parameter kAdviseParameters[] = {
    {"workload", Type::kTextArray, "NULL",
     "statements, one each (SQLite: also one text of several); NULL: what was captured"},
    {"weights", Type::kFloat8Array, "NULL",
     "weight of each statement, for instance calls per hour; NULL: 1 each"},
    {"budget_bytes", Type::kBigint, "NULL", "limit of the indexes' total size; NULL: none"},
    {"max_columns", Type::kInt, "3", "key columns of an index at most, 1 to 8"},
    {"time_limit", Type::kInterval, "30 s", "the search ends here with the best found"},
    {"min_saving_ratio", Type::kFloat8, "0.01",
     "a row that saves less than this share of its cost_before, of what the rows before it leave, "
     "is left out; 0 keeps all that save"},
    {"kinds", Type::kTextArray, "NULL",
     "btree, covering, partial, expression, gin, brin, trigram; NULL: all that are known"},
};

constexpr Column kAdviseColumns[] = {
    {"rank", Type::kInt, "order of creation; each row stands on the rows before it"},
    {"table_name", Type::kText, "table, qualified where needed"},
    {"columns", Type::kTextArray, "key columns or expressions, DESC where it matters"},
    {"kind", Type::kText, "btree, covering, partial, expression, gin, brin, trigram"},
    {"create_sql", Type::kText, "creates it; one statement, runnable as it is"},
    {"drop_sql", Type::kText, "undoes it"},
    {"size_bytes", Type::kBigint, "estimated size once built, deduplication counted"},
    {"cost_before", Type::kFloat8,
     "weighted workload cost before this row (PostgreSQL: planner units; SQLite: steps + 5 x "
     "pages)"},
    {"cost_after", Type::kFloat8, "the same after this row"},
    {"saving_ratio", Type::kFloat8, "(baseline - cost_after) / baseline, cumulative"},
    {"write_cost", Type::kFloat8,
     "added by the workload's writes, same unit, inside cost_after; NULL: not priced"},
    {"fingerprints", Type::kBigintArray, "statements that it serves"},
    {"reason", Type::kText, "which predicate, join or order it serves"},
    {"warnings", Type::kTextArray, "what a careful person would ask first"},
    {"steps", Type::kTextArray,
     "the statements to run, in order; the last ones drop existing indexes that this row makes "
     "redundant, each with a line in warnings"},
};

constexpr Parameter kCurveParameters[] = {
    {"workload", Type::kTextArray, nullptr,
     "statements, one each (SQLite: also one text of several); NULL: what was captured"},
    {"weights", Type::kFloat8Array, nullptr,
     "weight of each statement, for instance calls per hour; NULL: 1 each"},
    {"budgets", Type::kBigintArray, nullptr, "limits of the indexes' total size, in bytes"},
    {"max_columns", Type::kInt, "3", "key columns of an index at most, 1 to 8"},
    {"time_limit", Type::kInterval, "30 s",
     "for all budgets together; the search ends here with the best found"},
    {"kinds", Type::kTextArray, "NULL",
     "btree, covering, partial, expression, gin, brin, trigram; NULL: all that are known"},
};

constexpr Column kCurveColumns[] = {
    {"budget_bytes", Type::kBigint, "the limit, as given"},
    {"size_bytes", Type::kBigint, "estimated size of the set once built; within the budget"},
    {"cost_before", Type::kFloat8,
     "weighted workload cost without the set (PostgreSQL: planner units; SQLite: steps + 5 x "
     "pages)"},
    {"cost_after", Type::kFloat8, "the same with it; never more than with a smaller budget"},
    {"saving_ratio", Type::kFloat8, "(cost_before - cost_after) / cost_before"},
    {"create_sqls", Type::kTextArray, "creates the set, in this order"},
};

constexpr Column kRejectionColumns[] = {
    {"table_name", Type::kText, "table, qualified where needed; NULL: of a statement out of reach"},
    {"columns", Type::kTextArray, "key columns or expressions, DESC where it matters"},
    {"kind", Type::kText, "btree, covering, partial, expression, gin, brin, trigram"},
    {"cost_before", Type::kFloat8,
     "weighted workload cost as it is (PostgreSQL: planner units; SQLite: steps + 5 x pages)"},
    {"cost_after", Type::kFloat8, "the same with this index alone; NULL: it could not be priced"},
    {"size_bytes", Type::kBigint, "estimated size once built; of an existing index its size"},
    {"rejected_because", Type::kText,
     "why it is not advised: not used, saves too little, over budget, served by another, "
     "costs writes more, exists already, left out by kinds, no operator class, no index possible, "
     "insufficient_privilege"},
};

constexpr Parameter kWhatIfParameters[] = {
    {"statement", Type::kText, nullptr, "one statement; it is planned, never run"},
    {"indexes", Type::kTextArray, nullptr, "CREATE INDEX statements that are to be assumed"},
};

constexpr Column kWhatIfColumns[] = {
    {"cost_before", Type::kFloat8,
     "cost without them (PostgreSQL: planner units; SQLite: steps + 5 x pages)"},
    {"cost_after", Type::kFloat8, "cost with them"},
    {"plan_before", Type::kJson, "plan without them"},
    {"plan_after", Type::kJson, "plan with them"},
    {"used_indexes", Type::kTextArray, "indexes in plan_after, assumed and existing ones"},
};

constexpr Parameter kExplainParameters[] = {
    {"statement", Type::kText, nullptr, "one statement"},
    {"run", Type::kBool, "false",
     "true: it is run, reading only, for 30 s at most, and taken back; what could have effects of "
     "its own is refused; SQLite: on a connection of its own that sees what is committed in files"},
};

constexpr Column kExplainColumns[] = {
    {"plan", Type::kJson,
     "its plan; after a run with what each node did; SQLite: steps, pages and rows are estimates, "
     "also after a run: this library counts no rows of a loop"},
    {"planning_ms", Type::kFloat8, "time of planning"},
    {"execution_ms", Type::kFloat8, "time of the run; NULL: it was planned only"},
    {"findings", Type::kTextArray,
     "what to notice, each as `code: sentence`: whole_table_scan, index_filter, row_estimate, "
     "sort_spilled, hash_spilled, lossy_bitmap, nested_loop, correlated_subquery, jit; SQLite: "
     "whole_table_scan, temp_btree, automatic_index, correlated_subquery"},
};

constexpr Parameter kVerifyParameters[] = {
    {"create_sql", Type::kTextArray, nullptr, "CREATE INDEX statements that are to be verified"},
    {"statements", Type::kTextArray, "NULL",
     "statements to run with and without them; NULL: the 20 captured ones that read these tables "
     "and take most time"},
    {"runs", Type::kInt, "3", "runs of each after a warm one, 1 to 100; medians are compared"},
    {"time_limit", Type::kInterval, "60 s",
     "for building and all runs; what is not tested by then is not_testable_now"},
    {"max_table_bytes", Type::kBigint, "1073741824",
     "a larger table is refused; SQLite: a larger database, since all of it is copied"},
    {"confirm", Type::kBool, "false",
     "must be true: writers of these tables wait meanwhile; SQLite: the database is copied"},
};

constexpr Column kVerifyColumns[] = {
    {"statement", Type::kText, "the statement; captured ones without their values"},
    {"before_ms", Type::kFloat8, "median time without the indexes; NULL: it was not run"},
    {"after_ms", Type::kFloat8, "the same with them"},
    {"ratio", Type::kFloat8, "after_ms / before_ms"},
    {"plan_changed", Type::kBool, "the plan with them is another one; NULL: not known"},
    {"verdict", Type::kText,
     "better, same (also: the plan did not change), worse, not_testable_now (it would write or "
     "have effects, has parameters without values, the time was over, or this transaction may not "
     "use the fresh index); a difference within the runs' own spread or below 5 % is same"},
};

constexpr Column kProgressColumns[] = {
    {"pid", Type::kInt, "the session that asked for advice"},
    {"phase", Type::kText,
     "analysing, collecting (prices as they are), searching, pricing (the chosen set, planned "
     "again), explaining (explain_rejections), done"},
    {"statements_done", Type::kBigint, "statements that this phase has dealt with"},
    {"statements_total", Type::kBigint, "statements of the workload, equal texts once"},
    {"planner_calls", Type::kBigint, "questions to the planner so far"},
    {"cache_hits", Type::kBigint, "questions answered from plans made before"},
    {"best_saving_ratio", Type::kFloat8,
     "(baseline - cost) / baseline of the best set so far, by prices not yet planned again"},
    {"elapsed_ms", Type::kFloat8, "since the call began"},
};

constexpr TableFunction kCalls[] = {
    {.name = "advise_indexes",
     .topic = "advisor",
     .kind = CallKind::kFunction,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "which indexes to create for a workload, within a budget",
     .since = "0.1.0",
     .parameters = kAdviseParameters,
     .columns = kAdviseColumns},
    {.name = "advise_budget_curve",
     .topic = "advisor",
     .kind = CallKind::kFunction,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "what each of several budgets buys: the best set of indexes and its cost",
     .since = "0.1.0",
     .parameters = kCurveParameters,
     .columns = kCurveColumns},
    {.name = "explain_rejections",
     .topic = "advisor",
     .kind = CallKind::kFunction,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "why indexes that one would expect are not advised; what saves most alone comes first, "
            "100 rows at most",
     .since = "0.1.0",
     .parameters = kAdviseParameters,
     .columns = kRejectionColumns},
    {.name = "what_if",
     .topic = "advisor",
     .kind = CallKind::kFunction,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "cost and plan of a statement if these indexes existed",
     .since = "0.1.0",
     .parameters = kWhatIfParameters,
     .columns = kWhatIfColumns},
    {.name = "explain_statement",
     .topic = "advisor",
     .kind = CallKind::kFunction,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc =
         "plan of a statement and what to notice in it; runs it only if told to, without effects",
     .since = "0.1.0",
     .parameters = kExplainParameters,
     .columns = kExplainColumns},
    {.name = "verify_indexes",
     .topic = "advisor",
     .kind = CallKind::kFunction,
     .hosts = Hosts::kBoth,
     .effect = Effect::kActs,
     .doc = "builds indexes, runs statements with and without them, and takes everything back; "
            "PostgreSQL: in a transaction that is rolled back (statistics of the table in pg_class "
            "stay: relhasindex, reltuples); SQLite: on a private copy",
     .since = "0.1.0",
     .parameters = kVerifyParameters,
     .columns = kVerifyColumns},
    {.name = "advise_progress",
     .topic = "advisor",
     .kind = CallKind::kView,
     .hosts = Hosts::kPostgres,
     .effect = Effect::kReads,
     .doc = "calls for index advice under way in this server, and how far they are; own ones, with "
            "pg_read_all_stats all; only where upkeep is preloaded",
     .since = "0.1.0",
     .parameters = {},
     .columns = kProgressColumns},
};

}  // namespace

std::span<const TableFunction> AdvisorCalls() {
    return kCalls;
}

}  // namespace upkeep
