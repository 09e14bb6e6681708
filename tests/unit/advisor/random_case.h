// Random schemas, workloads and limits for property tests and benches; one seed, one case.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <random>
#include <string>

#include "fake_what_if.h"
#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {

struct CaseSize {
    int relations = 3;
    int columns = 6;
    int statements = 8;
};

class RandomCase {
  public:
    RandomCase(uint64_t seed, const CaseSize& size) : random_(seed), size_(size) {
        const int relations = 1 + Below(size.relations);
        for (int r = 0; r < relations; ++r) {
            AddRelation(r);
        }
        const int statements = 1 + Below(size.statements);
        for (int s = 0; s < statements; ++s) {
            AddStatement(s, relations);
        }
        if (Below(2) == 0) {
            port.write_cost_per_key = static_cast<double>(Below(50));
        } else if (Below(4) == 0) {
            port.write_cost_per_key = std::nullopt;
        }
        options.max_columns = 1 + Below(4);
        options.min_saving_ratio = Below(2) == 0 ? 0 : 0.01 * Below(20);
        options.time_limit_ms = 1'000'000;
        if (Below(3) != 0) {
            options.budget_bytes = 1 + static_cast<int64_t>(Below(4'000'000));
        }
    }

    FakeWhatIf port;
    AdviseOptions options;

  private:
    int Below(int limit) { return static_cast<int>(random_() % static_cast<uint64_t>(limit)); }

    void AddRelation(int r) {
        std::vector<FakeWhatIf::Column> columns;
        const int count = 2 + Below(size_.columns - 1);
        for (int c = 0; c < count; ++c) {
            columns.push_back(
                {"c" + std::to_string(c), std::pow(10.0, 1 + Below(5)), Below(12) != 0});
        }
        const RelationId id =
            port.AddRelation("t" + std::to_string(r), std::pow(10.0, 2 + Below(4)), columns);
        if (Below(2) == 0) {
            port.edit_relation(id).indexes.push_back(
                {"e" + std::to_string(r), Btree(id, {Below(count)}), 1e4, false, false});
        }
    }

    RelationUse RandomUse(RelationId id) {
        const int columns = static_cast<int>(port.relation(id).columns.size());
        RelationUse use{.relation = id, .predicates = {}, .order = {}, .group = {}, .needed = {}};
        for (int p = Below(4); p > 0; --p) {
            static constexpr Operator kOps[] = {Operator::kEqual, Operator::kEqual,
                                                Operator::kIn,    Operator::kJoin,
                                                Operator::kRange, Operator::kIsNull};
            const Operator op = kOps[Below(6)];
            use.predicates.push_back(
                {Below(columns), op, op == Operator::kRange ? 0.01 * (1 + Below(50)) : -1, "p"});
        }
        if (Below(2) == 0) {
            for (int k = 1 + Below(2); k > 0; --k) {
                const bool descending = Below(2) == 0;
                use.order.push_back({Below(columns), descending, descending});
            }
            use.has_limit = Below(2) == 0;
        } else if (Below(3) == 0) {
            use.group.push_back(Below(columns));
        }
        return use;
    }

    void AddStatement(int s, int relations) {
        Statement statement;
        for (int u = 1 + Below(2); u > 0; --u) {
            statement.uses.push_back(RandomUse(Below(relations)));
        }
        if (Below(5) == 0) {
            statement.kind = StatementKind::kUpdate;
            statement.written.push_back(Below(relations));
        }
        std::pair<int, int> or_columns = {-1, -1};
        RelationUse& first = statement.uses.front();
        if (Below(6) == 0 && port.relation(first.relation).columns.size() > 1) {
            or_columns = {0, 1};
            first.predicates = {Equal(0), Equal(1)};
            first.order.clear();
            first.group.clear();
        }
        const std::string text = "select " + std::to_string(s);
        port.AddStatement(text, std::move(statement), or_columns);
        options.workload.push_back({text, static_cast<double>(1 + Below(20))});
    }

    std::mt19937_64 random_;
    CaseSize size_;
};

}  // namespace upkeep::advisor
