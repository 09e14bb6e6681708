// SPDX-License-Identifier: PostgreSQL
#include "upkeep/advisor/explain.h"

#include "workload.h"

namespace upkeep::advisor {

namespace {

/// What the statement asks of its tables. A table that is named twice has no one share of rows.
PlanContext ContextOf(const WhatIf& port, const Statement& statement) {
    PlanContext context;
    std::map<std::string, int> mentions;
    for (const RelationUse& use : statement.uses) {
        const Relation& relation = port.relation(use.relation);
        context.table_rows[relation.name] = relation.rows;
        PlanContext::Kept kept;
        for (const Predicate& predicate : use.predicates) {
            if (predicate.selectivity >= 0) {
                kept.ratio *= predicate.selectivity;
                kept.condition += (kept.condition.empty() ? "" : " AND ") + predicate.text;
            }
        }
        if (++mentions[relation.name] > 1) {
            context.kept.erase(relation.name);
        } else if (!kept.condition.empty()) {
            context.kept[relation.name] = kept;
        }
    }
    return context;
}

Result<void> ExplainRow(const Arguments& arguments, WhatIf& port, Runner& runner, RowSink& rows) {
    const std::string& text = arguments.Text("statement");
    if (Result<void> checked = CheckText(text, "statement", port.dialect()); !checked.ok()) {
        return checked;
    }
    const bool runs = arguments.Bool("run");
    const Result<Statement> statement = port.Analyse(text);
    if (!statement.ok()) {
        return StatementError(false, 1, statement.error());
    }
    if (runs && statement.value().kind != StatementKind::kSelect) {
        return Error(Code::kInvalidArgument, "a statement that writes is planned, never run",
                     "leave run out, or explain a SELECT that finds the same rows");
    }
    PlanContext context = ContextOf(port, statement.value());
    CheckStop(port);
    std::string plan;
    double planning_ms = 0;
    Value execution_ms;
    if (runs) {
        Result<Ran> ran = runner.Run(text);
        if (!ran.ok()) {
            return ran.error();
        }
        plan = std::move(ran.value().plan_json);
        planning_ms = ran.value().planning_ms;
        execution_ms = ran.value().execution_ms;
        context.scanned_rows = ran.value().scanned_rows;
        context.returned_rows = ran.value().returned_rows;
    }
    if (plan.empty()) {
        const double start = runner.ClockMs();
        Result<Explained> explained = port.Explain(statement.value().id, {});
        if (!explained.ok()) {
            return StatementError(false, 1, explained.error());
        }
        planning_ms = runs ? planning_ms : runner.ClockMs() - start;
        plan = std::move(explained.value().plan_json);
    }
    TextArray findings = PlanFindings(plan, context);
    rows.Add({std::move(plan), planning_ms, std::move(execution_ms), std::move(findings)});
    return {};
}

}  // namespace

Result<void> ExplainStatement(const Arguments& arguments, WhatIf& port, Runner& runner,
                              RowSink& rows) {
    try {
        return ExplainRow(arguments, port, runner, rows);
    } catch (const Error& error) {
        return error;
    }
}

}  // namespace upkeep::advisor
