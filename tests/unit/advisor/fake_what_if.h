// A host in memory with a small, honest cost model, for tests and benches of the advisor.
//
// Cost of a statement: 1, plus for each use of a relation the cheapest of: reading it whole; one
// index (existing or given); two indexes for an OR of two columns. A sort is paid where the path
// does not deliver the order. The cheapest wins, ties go to the existing, then to the lower id: so
// more indexes never cost more, and the price-reuse rule of the what-if tree holds exactly. The
// matching is written here anew, not taken from the core: it is the oracle.
// Faults can be planted: the Nth call fails, throws something foreign, or the Nth question whether
// to stop is answered yes.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "upkeep/advisor/what_if.h"

namespace upkeep::advisor {

/// Not a std::exception, like PostgreSQL's unwinding of a query cancel.
struct ForeignUnwinding {
    int code = 0;
};

class FakeWhatIf : public WhatIf {
  public:
    struct Column {
        std::string name;
        double distinct = 100;
        bool is_orderable = true;
    };

    RelationId AddRelation(const std::string& name, double rows,
                           const std::vector<Column>& columns) {
        Relation relation;
        relation.name = name;
        relation.display_name = Quote(name);
        relation.rows = rows;
        relation.size_bytes = rows * 100;
        for (const Column& column : columns) {
            relation.columns.push_back({.name = column.name,
                                        .distinct_count = column.distinct,
                                        .width_bytes = 8,
                                        .is_orderable = column.is_orderable});
        }
        relations_.push_back(std::move(relation));
        return static_cast<RelationId>(relations_.size()) - 1;
    }
    /// Each equality offers a partial index of its own, for statements added so far.
    void OfferPartialIndexes() {
        for (auto& [text, known] : known_) {
            for (RelationUse& use : known.statement.uses) {
                for (const Predicate& predicate : use.predicates) {
                    if (predicate.op == Operator::kEqual) {
                        use.conditions.push_back(
                            {.kind = IndexKind::kPartial,
                             .sql = "c" + std::to_string(predicate.column) + " = 1",
                             .columns = {predicate.column},
                             .selectivity = partial_share,
                             .text = "p"});
                    }
                }
            }
        }
    }
    Relation& edit_relation(RelationId id) { return relations_[static_cast<size_t>(id)]; }

    /// `text` will be analysed as this. With `or_columns` the first use is an OR of two columns.
    void AddStatement(const std::string& text, Statement statement,
                      std::pair<int, int> or_columns = {-1, -1}) {
        if (statement.fingerprint == 0) {
            statement.fingerprint = static_cast<int64_t>(known_.size()) + 1001;
        }
        known_[text] = {std::move(statement), or_columns};
    }

    Result<Statement> Analyse(std::string_view text) override {
        if (const auto fault = Fault()) {
            return *fault;
        }
        const auto found = known_.find(std::string(text));
        if (found == known_.end()) {
            return Error(Code::kInvalidArgument, "syntax error in \"" + std::string(text) + "\"");
        }
        analysed_.push_back(found->second);
        analysed_.back().statement.id = static_cast<StatementId>(analysed_.size()) - 1;
        return analysed_.back().statement;
    }

    const Relation& relation(RelationId id) const override {
        return relations_.at(static_cast<size_t>(id));
    }

    Result<IndexId> Declare(const IndexSpec& spec) override {
        if (const auto fault = Fault()) {
            return *fault;
        }
        if (spec.keys.front().column == refused_column) {
            return Error(Code::kUnsupported, "cannot hypothesise this");
        }
        return IdOf(spec);
    }

    /// Understands what a test has registered with AddIndexText.
    Result<IndexId> DeclareSql(std::string_view text) override {
        if (const auto fault = Fault()) {
            return *fault;
        }
        const auto found = index_texts_.find(std::string(text));
        if (found == index_texts_.end()) {
            return Error(Code::kInvalidArgument, "this is no CREATE INDEX");
        }
        return IdOf(found->second);
    }
    void AddIndexText(const std::string& text, IndexSpec spec) {
        index_texts_[text] = std::move(spec);
    }

    Result<Price> PriceWith(StatementId id, std::span<const IndexId> indexes) override {
        ++planner_calls;
        now_ms += ms_per_call;
        if (const auto fault = Fault()) {
            return *fault;
        }
        planned.emplace_back(id, std::vector<IndexId>(indexes.begin(), indexes.end()));
        return Direct(id, indexes);
    }

    /// The price without counting, faults or clock: the oracle's own question.
    Price Direct(StatementId id, std::span<const IndexId> indexes) const {
        const Known& known = analysed_.at(static_cast<size_t>(id));
        Price price{1, {}};
        std::set<IndexId> used;
        for (size_t i = 0; i < known.statement.uses.size(); ++i) {
            const Path path =
                CheapestPath(known.statement.uses[i], i == 0 ? known.or_columns : kNoOr, indexes);
            price.cost += path.cost;
            used.insert(path.used.begin(), path.used.end());
        }
        price.used.assign(used.begin(), used.end());
        return price;
    }

    Result<Explained> Explain(StatementId id, std::span<const IndexId> indexes) override {
        Result<Price> price = PriceWith(id, indexes);
        if (!price.ok()) {
            return price.error();
        }
        Explained explained{price.value().cost, "{}", {}};
        for (const IndexId index : price.value().used) {
            explained.used_names.push_back("fake_" + std::to_string(index));
        }
        return explained;
    }

    double SizeBytes(IndexId index) override {
        const IndexSpec& spec = specs_.at(static_cast<size_t>(index));
        return relation(spec.relation).rows * (8 + 8 * static_cast<double>(spec.keys.size())) *
               (spec.predicate.empty() ? 1 : partial_share);
    }

    std::optional<double> WriteCost(IndexId index, StatementId) override {
        if (!write_cost_per_key) {
            return std::nullopt;
        }
        return *write_cost_per_key *
               static_cast<double>(specs_.at(static_cast<size_t>(index)).keys.size());
    }

    bool IsPriceMinimal() const override { return true; }
    Dialect dialect() const override { return dialect_words; }
    std::optional<Error> WhyNoKind(IndexKind kind) const override {
        if (kinds_missing.count(kind) == 0) {
            return std::nullopt;
        }
        return Error(Code::kUnsupported, "the fake has no such kind", "leave it out");
    }
    std::string Quote(std::string_view name) const override {
        const bool is_plain = std::all_of(name.begin(), name.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        });
        if (is_plain) {
            return std::string(name);
        }
        std::string quoted = "\"";
        for (const char c : name) {
            quoted += c == '"' ? "\"\"" : std::string(1, c);
        }
        return quoted + "\"";
    }
    bool NameTaken(RelationId, std::string_view name) const override {
        return taken_names.count(std::string(name)) != 0;
    }
    std::vector<health::IndexDescription> ExistingIndexes(RelationId relation) override {
        return described[relation];
    }
    std::optional<health::IndexDescription> Describe(const IndexSpec& spec) const override {
        health::IndexDescription index;
        index.access_method = "btree";
        index.predicate = spec.predicate;
        for (const IndexKey& key : spec.keys) {
            index.keys.push_back(
                {key.column < 0
                     ? key.expression
                     : relation(spec.relation).columns[static_cast<size_t>(key.column)].name,
                 "", "", key.descending, key.nulls_first});
        }
        return index;
    }
    int64_t ElapsedMs() const override { return now_ms; }
    bool ShouldStop() override { return ++stop_questions == stop_at; }

    const IndexSpec& spec(IndexId id) const { return specs_.at(static_cast<size_t>(id)); }

    // What a test may turn, and what it may read.
    Dialect dialect_words = {.create_index = "CREATE INDEX CONCURRENTLY IF NOT EXISTS",
                             .drop_index = "DROP INDEX CONCURRENTLY IF EXISTS",
                             .plain_create_index = "CREATE INDEX IF NOT EXISTS",
                             .plain_drop_index = "DROP INDEX IF EXISTS",
                             .has_nulls_order = true};
    std::map<RelationId, std::vector<health::IndexDescription>> described;
    std::set<std::string> taken_names;
    std::set<IndexKind> kinds_missing;
    std::optional<double> write_cost_per_key = 0.0;
    double partial_share = 1;  // of the rows, in any index with a predicate
    int refused_column = -2;
    int64_t ms_per_call = 0;
    int64_t now_ms = 0;
    int64_t fail_at = 0;   // 1: the first call fails
    int64_t throw_at = 0;  // the same, by a foreign unwinding
    int64_t stop_at = 0;
    int64_t calls = 0;  // fallible calls so far
    int64_t stop_questions = 0;
    int64_t planner_calls = 0;
    std::vector<std::pair<StatementId, std::vector<IndexId>>> planned;

  private:
    struct Known {
        Statement statement;
        std::pair<int, int> or_columns;
    };
    struct Path {
        double cost = 0;
        std::vector<IndexId> used;
    };
    static constexpr std::pair<int, int> kNoOr = {-1, -1};

    std::optional<Error> Fault() {
        ++calls;
        if (calls == throw_at) {
            throw ForeignUnwinding{42};
        }
        if (calls == fail_at) {
            return Error(Code::kHost, "planted failure");
        }
        return std::nullopt;
    }

    IndexId IdOf(const IndexSpec& spec) {
        const auto known = std::find(specs_.begin(), specs_.end(), spec);
        if (known != specs_.end()) {
            return static_cast<IndexId>(known - specs_.begin());
        }
        specs_.push_back(spec);
        return static_cast<IndexId>(specs_.size()) - 1;
    }

    static double Selectivity(const Relation& relation, const Predicate& predicate) {
        return predicate.selectivity >= 0
                   ? predicate.selectivity
                   : 1 / relation.columns[static_cast<size_t>(predicate.column)].distinct_count;
    }

    static bool IsRange(const Predicate& predicate) {
        return predicate.op == Operator::kRange || predicate.op == Operator::kPrefix;
    }

    /// Does the index, behind `skip` keys fixed to one value, deliver the whole order?
    bool DeliversOrder(const IndexSpec& index, const RelationUse& use,
                       const std::set<int>& fixed) const {
        for (const bool is_backwards : {false, true}) {
            size_t key = 0;
            bool is_good = true;
            for (const SortKey& sort : use.order) {
                if (fixed.count(sort.column) != 0) {
                    continue;
                }
                while (key < index.keys.size() && fixed.count(index.keys[key].column) != 0 &&
                       index.keys[key].column != sort.column) {
                    ++key;
                }
                is_good = is_good && key < index.keys.size() &&
                          index.keys[key].column == sort.column &&
                          (index.keys[key].descending != is_backwards) == sort.descending &&
                          (!dialect_words.has_nulls_order ||
                           (index.keys[key].nulls_first != is_backwards) == sort.nulls_first);
                ++key;
            }
            if (is_good) {
                return true;
            }
        }
        return false;
    }

    double SortCost(const RelationUse& use, double rows) const {
        return use.order.empty() ? 0 : 0.05 * rows * std::log2(rows + 2);
    }

    double RowsOut(const Relation& relation, const RelationUse& use) const {
        double rows = relation.rows;
        for (const Predicate& predicate : use.predicates) {
            rows *= Selectivity(relation, predicate);
        }
        return rows;
    }

    /// Cost of reading through one index; infinity where it is of no use.
    double IndexCost(const IndexSpec& index, const RelationUse& use) const {
        const Relation& rel = relation(use.relation);
        double selectivity = 1;
        std::set<int> fixed;
        bool is_useful = false;
        for (const IndexKey& key : index.keys) {
            const Predicate* best = nullptr;
            for (const Predicate& p : use.predicates) {
                if (p.column == key.column &&
                    (best == nullptr || (IsRange(*best) && !IsRange(p)))) {
                    best = &p;
                }
            }
            if (best == nullptr) {
                break;
            }
            is_useful = true;
            selectivity *= Selectivity(rel, *best);
            if (IsRange(*best)) {
                break;
            }
            fixed.insert(key.column);
        }
        const bool is_sorted = !use.order.empty() && DeliversOrder(index, use, fixed);
        const bool is_grouped =
            !use.group.empty() && std::find(use.group.begin(), use.group.end(),
                                            index.keys.front().column) != use.group.end();
        if (!is_useful && !is_sorted && !is_grouped) {
            return std::numeric_limits<double>::infinity();
        }
        double cost =
            4 + 0.1 * static_cast<double>(index.keys.size()) + 1.5 * rel.rows * selectivity;
        if (is_sorted && use.has_limit) {
            cost = std::min(cost, 4 + 0.2 * cost);
        }
        cost += is_sorted ? 0 : SortCost(use, RowsOut(rel, use));
        cost += use.group.empty() || is_grouped ? 0 : 0.3 * RowsOut(rel, use);
        return cost;
    }

    Path CheapestPath(const RelationUse& use, std::pair<int, int> or_columns,
                      std::span<const IndexId> indexes) const {
        const Relation& rel = relation(use.relation);
        Path best{rel.rows + SortCost(use, RowsOut(rel, use)) +
                      (use.group.empty() ? 0 : 0.3 * RowsOut(rel, use)),
                  {}};
        if (or_columns.first >= 0) {
            return CheapestOr(rel, or_columns, indexes, best);
        }
        for (const ExistingIndex& existing : rel.indexes) {
            best.cost = std::min(best.cost, IndexCost(existing.spec, use));
        }
        for (const IndexId id : indexes) {
            const IndexSpec& index = spec(id);
            if (index.relation != use.relation) {
                continue;
            }
            if (const double cost = IndexCost(index, use); cost < best.cost) {
                best = {cost, {id}};
            }
        }
        return best;
    }

    /// An OR needs an index for each arm.
    Path CheapestOr(const Relation& rel, std::pair<int, int> columns,
                    std::span<const IndexId> indexes, const Path& whole) const {
        Path both{0, {}};
        for (const int column : {columns.first, columns.second}) {
            Path arm{std::numeric_limits<double>::infinity(), {}};
            for (const IndexId id : indexes) {
                const IndexSpec& index = spec(id);
                const double cost =
                    4 + 0.1 * static_cast<double>(index.keys.size()) +
                    1.5 * rel.rows / rel.columns[static_cast<size_t>(column)].distinct_count;
                if (&relation(index.relation) == &rel && index.keys.front().column == column &&
                    cost < arm.cost) {
                    arm = {cost, {id}};
                }
            }
            both.cost += arm.cost;
            both.used.insert(both.used.end(), arm.used.begin(), arm.used.end());
        }
        return both.cost < whole.cost ? both : whole;
    }

    std::vector<Relation> relations_;
    std::map<std::string, Known> known_;
    std::map<std::string, IndexSpec> index_texts_;
    std::vector<Known> analysed_;
    std::vector<IndexSpec> specs_;
};

// Short forms for tests.
inline Predicate Equal(int column, double selectivity = -1, std::string text = {}) {
    return {column, Operator::kEqual, selectivity, std::move(text)};
}
inline Predicate Range(int column, double selectivity = 0.1, std::string text = {}) {
    return {column, Operator::kRange, selectivity, std::move(text)};
}
inline Predicate Join(int column) {
    return {column, Operator::kJoin, -1, {}};
}
inline IndexSpec Btree(RelationId relation, const std::vector<int>& columns) {
    IndexSpec spec;
    spec.relation = relation;
    for (const int column : columns) {
        spec.keys.push_back({column, "", false, false});
    }
    return spec;
}
inline Statement Reads(std::vector<RelationUse> uses) {
    Statement statement;
    statement.uses = std::move(uses);
    return statement;
}

}  // namespace upkeep::advisor
