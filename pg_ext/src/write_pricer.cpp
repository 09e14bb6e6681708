// SPDX-License-Identifier: PostgreSQL
#include "write_pricer.h"

#include <algorithm>

#include "guard.h"

namespace upkeep::pg {

namespace {

std::set<int> MembersOf(const Bitmapset* set) {
    std::set<int> members;
    for (int member = bms_next_member(set, -1); member >= 0;
         member = bms_next_member(set, member)) {
        members.insert(member);
    }
    return members;
}

bool Meet(const std::set<int>& some, const std::set<int>& others) {
    return std::any_of(some.begin(), some.end(),
                       [&](int member) { return others.count(member) > 0; });
}

}  // namespace

void WritePricer::Note(advisor::StatementId statement, const std::vector<PlannedStmt*>& plans) {
    Shape shape;
    for (PlannedStmt* plan : plans) {
        const PlainArray<PlainWrite>* writes = CallHost([=] { return WritesOf(plan); });
        for (int i = 0; i < writes->count; ++i) {
            const PlainWrite& write = writes->items[i];
            shape.push_back({write.relid, write.inserted, write.updated, write.deleted,
                             MembersOf(write.changed)});
        }
    }
    const auto [place, is_new] = numbers_.try_emplace(shape, static_cast<int>(numbers_.size()));
    if (is_new) {
        by_number_.push_back(std::move(shape));
    }
    shapes_[statement] = place->second;
}

std::optional<double> WritePricer::KnownCost(advisor::IndexId id,
                                             advisor::StatementId statement) const {
    const auto known = costs_.find({id, shapes_.at(statement)});
    return known == costs_.end() ? std::nullopt : std::optional<double>(known->second);
}

double WritePricer::KeysGone(advisor::StatementId statement, Oid relid, bool deletes,
                             const std::set<int>* key) const {
    double rows = 0;
    for (const Write& write : by_number_[static_cast<size_t>(shapes_.at(statement))]) {
        if (write.relid == relid) {
            rows += deletes ? write.deleted : 0;
            rows += key != nullptr && Meet(write.changed, *key) ? write.updated : 0;
        }
    }
    return rows;
}

const WritePricer::Index& WritePricer::IndexOf(advisor::IndexId id, const HypotheticalIndex* index,
                                               double rows) {
    const auto [place, is_new] = indexes_.try_emplace(id);
    if (is_new) {
        place->second.facts = CallHost([=] { return FactsOfAssumed(*index, rows); });
        place->second.attributes = MembersOf(CallHost([=] { return AttributesOf(*index); }));
    }
    return place->second;
}

const WritePricer::Table& WritePricer::TableOf(Oid relid, double rows) {
    const auto [place, is_new] = tables_.try_emplace(relid);
    if (is_new) {
        const TableIndexes* read = CallHost([=] { return ReadTableIndexes(relid, rows); });
        place->second.indexes.assign(read->entries.items,
                                     read->entries.items + read->entries.count);
        place->second.attributes = MembersOf(read->attributes);
    }
    return place->second;
}

double WritePricer::UpdateCost(const Write& write, const Index& index, double rows) {
    const Table& table = TableOf(write.relid, rows);
    const bool was_hot = !Meet(write.changed, table.attributes);
    if (was_hot && !Meet(write.changed, index.attributes)) {
        return 0;
    }
    double cost =
        EntriesCost(index.facts, write.updated) + DeadEntriesCost(index.facts, write.updated);
    if (was_hot) {
        for (const EntryFacts& other : table.indexes) {
            cost += EntriesCost(other, write.updated) + DeadEntriesCost(other, write.updated);
        }
    }
    return cost;
}

double WritePricer::Cost(advisor::IndexId id, const HypotheticalIndex* index, double rows,
                         advisor::StatementId statement) {
    double cost = 0;
    const int shape = shapes_.at(statement);
    for (const Write& write : by_number_[static_cast<size_t>(shape)]) {
        if (write.relid != index->relid) {
            continue;
        }
        const Index& facts = IndexOf(id, index, rows);
        cost +=
            EntriesCost(facts.facts, write.inserted) + DeadEntriesCost(facts.facts, write.deleted);
        if (write.updated > 0) {
            cost += UpdateCost(write, facts, rows);
        }
    }
    costs_[{id, shape}] = cost;
    return cost;
}

}  // namespace upkeep::pg
