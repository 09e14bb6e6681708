// Index advice from beginning to end: collect, choose, price again, describe.
// SPDX-License-Identifier: PostgreSQL
#include "upkeep/advisor/advise.h"

#include "choose.h"
#include "collection.h"
#include "describe.h"
#include "options.h"
#include "redundant.h"

namespace upkeep::advisor {

namespace {

Advice AdviseOrThrow(WhatIf& port, const AdviseOptions& options) {
    Advice advice;
    Collection collection(port, options);
    advice.baseline_cost = collection.baseline_cost();
    advice.planner_calls = collection.planner_calls();
    if (collection.IsEmpty()) {
        return advice;
    }
    const Choice choice = ChooseForBudgets(collection, options, {options.budget_bytes});
    advice.is_complete = choice.is_complete;
    advice.indexes = Describe(collection, choice.rows.front(), advice.is_complete);
    NameRedundant(port, &advice.indexes);
    advice.planner_calls = collection.planner_calls();
    advice.cache_hits = collection.cache_hits();
    return advice;
}

}  // namespace

Result<Advice> Advise(WhatIf& port, const AdviseOptions& options) {
    if (Result<void> checked = CheckOptions(options, port); !checked.ok()) {
        return checked.error();
    }
    try {
        return AdviseOrThrow(port, options);
    } catch (const Error& error) {
        return error;
    }
}

}  // namespace upkeep::advisor
