// SPDX-License-Identifier: PostgreSQL
#include "index_cover.h"

#include <algorithm>

namespace upkeep::health {

namespace {

bool SameOrder(const KeyPart& one, const KeyPart& other) {
    return one.descending == other.descending && one.nulls_first == other.nulls_first;
}

bool OppositeOrder(const KeyPart& one, const KeyPart& other) {
    return one.descending != other.descending && one.nulls_first != other.nulls_first;
}

/// Are the keys of `narrow` the first keys of `wide`, read forwards or backwards?
bool LeadsWith(const IndexDescription& wide, const IndexDescription& narrow) {
    if (wide.keys.size() < narrow.keys.size()) {
        return false;
    }
    bool forwards = true;
    bool backwards = narrow.access_method == "btree";
    for (size_t i = 0; i < narrow.keys.size(); ++i) {
        const KeyPart& one = wide.keys[i];
        const KeyPart& other = narrow.keys[i];
        if (one.expression != other.expression || one.collation != other.collation ||
            one.opclass != other.opclass) {
            return false;
        }
        forwards = forwards && SameOrder(one, other);
        backwards = backwards && OppositeOrder(one, other);
    }
    return forwards || backwards;
}

bool HoldsColumn(const IndexDescription& index, const std::string& column) {
    return std::find(index.included.begin(), index.included.end(), column) !=
               index.included.end() ||
           std::any_of(index.keys.begin(), index.keys.end(),
                       [&](const KeyPart& key) { return key.expression == column; });
}

}  // namespace

bool CoversColumns(const IndexDescription& wide, const IndexDescription& narrow) {
    const bool same_length = wide.keys.size() == narrow.keys.size();
    if (wide.table_id != narrow.table_id || wide.access_method != narrow.access_method ||
        !wide.is_valid || narrow.keys.empty() ||
        (!same_length && narrow.access_method != "btree") || !LeadsWith(wide, narrow)) {
        return false;
    }
    if (narrow.is_unique &&
        (!wide.is_unique || !same_length || wide.nulls_not_distinct != narrow.nulls_not_distinct ||
         (narrow.is_immediate && !wide.is_immediate))) {
        return false;
    }
    return std::all_of(narrow.included.begin(), narrow.included.end(),
                       [&](const std::string& column) { return HoldsColumn(wide, column); });
}

bool Covers(const IndexDescription& wide, const IndexDescription& narrow) {
    return wide.predicate == narrow.predicate && CoversColumns(wide, narrow);
}

bool IsKept(const IndexDescription& one, const IndexDescription& other) {
    if (IsDroppable(one) != IsDroppable(other)) {
        return !IsDroppable(one);
    }
    if (one.is_unique != other.is_unique) {
        return one.is_unique;
    }
    if (one.scans.value_or(0) != other.scans.value_or(0)) {
        return one.scans.value_or(0) > other.scans.value_or(0);
    }
    return one.name < other.name;
}

bool Replaces(const IndexDescription& wide, const IndexDescription& narrow) {
    return &wide != &narrow && IsDroppable(narrow) && narrow.is_valid && Covers(wide, narrow) &&
           (!Covers(narrow, wide) || !IsDroppable(wide) || IsKept(wide, narrow));
}

std::string KeyList(const IndexDescription& index) {
    std::string text;
    for (const KeyPart& key : index.keys) {
        text += (text.empty() ? "" : ", ") + key.expression + (key.descending ? " DESC" : "");
    }
    return "(" + text + ")" + (index.predicate.empty() ? "" : " WHERE " + index.predicate);
}

}  // namespace upkeep::health
