// SPDX-License-Identifier: PostgreSQL
#include "write_cost.h"

#include <algorithm>
#include <cmath>

#include "price.h"
#include "sql_text.h"

namespace upkeep::sqlite {

namespace {

// VM steps, counted in the bytecode of 3.40.
constexpr double kInsertSteps = 5, kDeleteSteps = 3, kConditionSteps = 6, kExpressionSteps = 1;
constexpr double kSplitPages = 0.3;  // of inserts at random places into leaves that are full
constexpr double kSharedPages =
    0.6;  // an UPDATE's second way down begins where the first one ended

/// Pages that are written back at commit, each once however many of its rows changed.
/// Source: Mackert and Lohman 1989, as PostgreSQL's planner has it.
double WrittenPages(const IndexWrites& index, double rows) {
    const double entries = rows * index.share;
    return std::min(index.leaf_pages,
                    2 * index.leaf_pages * entries / (2 * index.leaf_pages + entries));
}

}  // namespace

IndexWrites WritesOf(const IndexShape& index, Statistics* statistics) {
    IndexWrites writes;
    const TreeSize tree = statistics->IndexSize(index);
    writes.leaf_pages = tree.leaf_pages;
    writes.share = std::min(1.0, statistics->IndexRows(index) / std::max(1.0, statistics->rows()));
    double keys = 0;
    for (const KeyExpression& key : index.keys) {
        keys += 1 + (key.column == -2 ? kExpressionSteps : 0);
    }
    const double condition = index.predicate.empty() ? 0 : kConditionSteps;
    const auto cost = [&](double steps, double pages) {
        return condition + writes.share * (steps + kPageWeight * pages);
    };
    writes.inserted = cost(kInsertSteps + keys, tree.height + kSplitPages);
    writes.deleted = cost(kDeleteSteps + keys, tree.height);
    writes.updated =
        cost(kInsertSteps + kDeleteSteps - 1 + 2 * keys, 2 * tree.height - kSharedPages);
    return writes;
}

bool ReadsChanged(const IndexShape& index, const RelationState& relation, const TableWrite& write) {
    const auto is_changed = [&](const CatalogColumn& column) {
        return write.changed.count(Lower(column.name)) > 0;
    };
    // Every index ends with the row's key.
    const int rowid = relation.statistics->sample().rowid_column();
    if (write.changed.count("rowid") > 0 ||
        (rowid >= 0 && is_changed(relation.columns[static_cast<size_t>(rowid)]))) {
        return true;
    }
    for (const KeyExpression& key : index.keys) {
        if (key.column >= 0 && is_changed(relation.columns[static_cast<size_t>(key.column)])) {
            return true;
        }
    }
    for (const CatalogColumn& column : relation.columns) {
        if (!is_changed(column)) {
            continue;
        }
        const bool is_read =
            NamesColumn(index.predicate, column.name) ||
            std::any_of(index.keys.begin(), index.keys.end(), [&](const KeyExpression& key) {
                return key.column == -2 && NamesColumn(key.sql, column.name);
            });
        if (is_read || (relation.is_without_rowid && column.is_primary)) {
            return true;
        }
    }
    return false;
}

double IndexesWritten(const RelationState& relation, const TableWrite& write) {
    const bool is_whole_row = write.inserts || write.deletes || write.changed.empty();
    return static_cast<double>(
        std::count_if(relation.shapes.begin(), relation.shapes.end(), [&](const auto& named) {
            return is_whole_row || relation.statistics == nullptr ||
                   ReadsChanged(named.second, relation, write);
        }));
}

double IndexWriteCost(const IndexWrites& index, const TableWrite& write, bool is_read,
                      double rows) {
    if (write.clears) {
        return kPageWeight * index.leaf_pages;
    }
    double per_row = 0;
    if (write.inserts && !write.changed.empty()) {  // an upsert: half of the rows are there already
        per_row = (index.inserted + (is_read ? index.updated : 0)) / 2;
    } else if (write.inserts) {
        per_row = write.replaces ? index.updated : index.inserted;
    } else if (write.deletes) {
        per_row = index.deleted;
    } else if (is_read) {
        per_row = index.updated;
    }
    return per_row <= 0 || rows <= 0 ? 0 : rows * per_row + kPageWeight * WrittenPages(index, rows);
}

}  // namespace upkeep::sqlite
