// Bodies of the SQL calls advise_indexes and what_if: arguments in, rows out.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>

#include "candidates.h"
#include "ddl.h"
#include "index_kind.h"
#include "read_options.h"
#include "upkeep/advisor/advise.h"
#include "upkeep/base/text.h"
#include "workload.h"

namespace upkeep::advisor {

namespace {

Row AdviceRow(const WhatIf& port, int64_t rank, const AdvisedIndex& index) {
    const Relation& relation = port.relation(index.spec.relation);
    TextArray columns;
    for (const IndexKey& key : index.spec.keys) {
        columns.push_back(KeyText(port, relation, key));
    }
    return {rank,
            relation.display_name,
            std::move(columns),
            std::string(KindName(index.spec.kind)),
            index.create_sql,
            index.drop_sql,
            WholeBytes(index.size_bytes),
            index.cost_before,
            index.cost_after,
            index.saving_ratio,
            index.write_cost ? Value(*index.write_cost) : Value(),
            index.fingerprints,
            index.reason,
            index.warnings,
            index.steps};
}

/// Names the index of a what_if call in an error, where there are several.
Error IndexError(size_t count, size_t number, const Error& error) {
    if (count <= 1) {
        return StatementError(false, number, error);
    }
    const Error clipped = StatementError(false, number, error);
    return Error(clipped.code(), "index " + std::to_string(number) + ": " + clipped.message(),
                 clipped.hint());
}

Result<std::vector<IndexId>> DeclareGiven(const TextArray& texts, WhatIf& port) {
    std::vector<IndexId> ids;
    for (size_t i = 0; i < texts.size(); ++i) {
        const std::string what = texts.size() > 1 ? "index " + std::to_string(i + 1) : "index";
        if (Result<void> text = CheckText(texts[i], what, port.dialect()); !text.ok()) {
            return text.error();
        }
        Result<IndexId> id = port.DeclareSql(texts[i]);
        if (!id.ok()) {
            return IndexError(texts.size(), i + 1, id.error());
        }
        ids.push_back(id.value());
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

Result<Explained> ExplainOnce(WhatIf& port, StatementId statement,
                              std::span<const IndexId> indexes) {
    CheckStop(port);
    Result<Explained> explained = port.Explain(statement, indexes);
    if (!explained.ok()) {
        return StatementError(false, 1, explained.error());
    }
    return explained;
}

Result<void> WhatIfRow(const Arguments& arguments, WhatIf& port, RowSink& rows) {
    const std::string& text = arguments.Text("statement");
    if (Result<void> checked = CheckText(text, "statement", port.dialect()); !checked.ok()) {
        return checked;
    }
    CheckStop(port);
    const Result<Statement> statement = port.Analyse(text);
    if (!statement.ok()) {
        return StatementError(false, 1, statement.error());
    }
    const Result<std::vector<IndexId>> ids = DeclareGiven(arguments.Texts("indexes"), port);
    if (!ids.ok()) {
        return ids.error();
    }
    const StatementId id = statement.value().id;
    Result<Explained> before = ExplainOnce(port, id, {});
    if (!before.ok()) {
        return before.error();
    }
    Result<Explained> after = ExplainOnce(port, id, ids.value());
    if (!after.ok()) {
        return after.error();
    }
    rows.Add({before.value().cost, after.value().cost, std::move(before.value().plan_json),
              std::move(after.value().plan_json), std::move(after.value().used_names)});
    return {};
}

}  // namespace

Result<void> AdviseIndexes(const Arguments& arguments,
                           const Result<std::vector<WorkloadStatement>>& captured, WhatIf& port,
                           RowSink& rows) {
    try {
        const Result<AdviseOptions> options = ReadOptions(arguments, captured);
        if (!options.ok()) {
            return options.error();
        }
        const Result<Advice> advice = Advise(port, options.value());
        if (!advice.ok()) {
            return advice.error();
        }
        int64_t rank = 0;
        for (const AdvisedIndex& index : advice.value().indexes) {
            rows.Add(AdviceRow(port, ++rank, index));
        }
        return {};
    } catch (const Error& error) {
        return error;
    }
}

Result<void> WhatIfCall(const Arguments& arguments, WhatIf& port, RowSink& rows) {
    try {
        return WhatIfRow(arguments, port, rows);
    } catch (const Error& error) {
        return error;
    }
}

}  // namespace upkeep::advisor
