// Random schemas and workloads against the fake host, whose prices are the oracle.
// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include "advisor/candidates.h"
#include "advisor/price_cache.h"
#include "random_case.h"

namespace upkeep::advisor {
namespace {

#ifdef __SANITIZE_ADDRESS__  // ten times as slow, and after memory, not after properties
constexpr uint64_t kRounds = 100;
#else
constexpr uint64_t kRounds = 600;
#endif
constexpr double kRounding = 1e-7;  // relative; sums of doubles in another order

/// Cost of the whole workload with these indexes, measured anew, writes included.
double Measure(RandomCase& c, const std::vector<IndexId>& indexes) {
    double cost = 0;
    std::vector<IndexId> sorted = indexes;
    std::sort(sorted.begin(), sorted.end());
    for (size_t i = 0; i < c.options.workload.size(); ++i) {
        const Statement statement = c.port.Analyse(c.options.workload[i].text).value();
        double once = c.port.Direct(statement.id, sorted).cost;
        for (const IndexId index : sorted) {
            for (const RelationId written : statement.written) {
                if (c.port.spec(index).relation == written) {
                    once += c.port.WriteCost(index, statement.id).value_or(0);
                }
            }
        }
        cost += c.options.workload[i].weight * once;
    }
    return cost;
}

std::vector<IndexId> Ids(const Advice& advice) {
    std::vector<IndexId> ids;
    for (const AdvisedIndex& index : advice.indexes) {
        ids.push_back(index.id);
    }
    return ids;
}

std::vector<IndexId> DeclaredCandidates(RandomCase& c) {
    Workload workload;
    for (size_t i = 0; i < c.options.workload.size(); ++i) {
        Statement statement = c.port.Analyse(c.options.workload[i].text).value();
        const double cost = c.port.Direct(statement.id, {}).cost;
        workload.items.push_back({std::move(statement), c.options.workload[i].weight, i + 1, cost});
    }
    std::vector<IndexId> ids;
    for (const Candidate& candidate :
         GenerateCandidates(c.port, workload, {.max_columns = c.options.max_columns})) {
        ids.push_back(c.port.Declare(candidate.spec).value());
    }
    return ids;
}

double SizeOf(RandomCase& c, const std::vector<IndexId>& ids) {
    double bytes = 0;
    for (const IndexId id : ids) {
        bytes += c.port.SizeBytes(id);
    }
    return bytes;
}

bool Fits(RandomCase& c, const std::vector<IndexId>& ids) {
    return !c.options.budget_bytes ||
           SizeOf(c, ids) <= static_cast<double>(*c.options.budget_bytes);
}

/// The textbook greedy, every step measured anew.
double PlainGreedy(RandomCase& c, const std::vector<IndexId>& candidates, bool per_byte) {
    std::vector<IndexId> chosen;
    double cost = Measure(c, chosen);
    const double least = 1e-9 * cost;
    for (;;) {
        double best_key = 0;
        double best_cost = 0;
        IndexId best = -1;
        for (const IndexId id : candidates) {
            std::vector<IndexId> with = chosen;
            with.push_back(id);
            if (std::find(chosen.begin(), chosen.end(), id) != chosen.end() || !Fits(c, with)) {
                continue;
            }
            const double with_cost = Measure(c, with);
            const double key = (cost - with_cost) / (per_byte ? c.port.SizeBytes(id) : 1);
            if (cost - with_cost >= least && key > best_key) {
                best_key = key;
                best_cost = with_cost;
                best = id;
            }
        }
        if (best < 0) {
            return cost;
        }
        chosen.push_back(best);
        cost = best_cost;
    }
}

/// A random case whose equalities may have small partial indexes.
double CostWithKinds(uint64_t seed, const std::vector<IndexKind>& kinds, size_t* partial_ones) {
    RandomCase c(seed, {});
    c.port.partial_share = 0.02;  // rare beside the other values, or none is proposed
    c.port.OfferPartialIndexes();
    c.options.kinds = kinds;
    const Result<Advice> advised = Advise(c.port, c.options);
    EXPECT_TRUE(advised.ok());
    EXPECT_TRUE(Fits(c, Ids(advised.value())));
    for (const AdvisedIndex& index : advised.value().indexes) {
        *partial_ones += index.spec.kind == IndexKind::kPartial ? 1 : 0;
    }
    return Measure(c, Ids(advised.value()));
}

TEST(AdvicePropertyTest, MoreKindsAreNeverWorse) {
    size_t partial_ones = 0;
    size_t none = 0;
    size_t better = 0;
    for (uint64_t seed = 1; seed <= kRounds; ++seed) {
        SCOPED_TRACE(seed);
        const double plain = CostWithKinds(seed, {IndexKind::kBtree, IndexKind::kCovering}, &none);
        const double all = CostWithKinds(seed, {}, &partial_ones);
        EXPECT_LE(all, plain * (1 + kRounding));
        better += all < plain * (1 - kRounding) ? 1 : 0;
    }
    EXPECT_EQ(none, 0U);
    EXPECT_GT(partial_ones, kRounds / 20);  // or the test has tested nothing
    EXPECT_GT(better, kRounds / 20);
}

TEST(AdvicePropertyTest, NeverHarmsAndEveryRowEarnsItsPlace) {
    size_t rows = 0;
    for (uint64_t seed = 1; seed <= kRounds; ++seed) {
        SCOPED_TRACE(seed);
        RandomCase c(seed, {});
        const Result<Advice> advised = Advise(c.port, c.options);
        ASSERT_TRUE(advised.ok()) << advised.error().message();
        const Advice& advice = advised.value();
        const std::vector<IndexId> ids = Ids(advice);
        const double before = Measure(c, {});
        const double after = Measure(c, ids);
        EXPECT_NEAR(advice.baseline_cost, before, kRounding * before);
        EXPECT_LE(after, before);
        EXPECT_TRUE(advice.is_complete);
        EXPECT_TRUE(Fits(c, ids));

        double last = before;
        std::vector<IndexId> prefix;
        for (const AdvisedIndex& row : advice.indexes) {
            EXPECT_NEAR(row.cost_before, last, kRounding * before);
            prefix.push_back(row.id);
            last = Measure(c, prefix);
            EXPECT_NEAR(row.cost_after, last, kRounding * before);
            const bool is_alone = std::none_of(
                row.warnings.begin(), row.warnings.end(), [](const std::string& warning) {
                    return warning.find("together with the rows after it") != std::string::npos;
                });
            EXPECT_TRUE(!is_alone ||
                        row.cost_before - row.cost_after >=
                            c.options.min_saving_ratio * row.cost_before - kRounding * before);
            EXPECT_NEAR(row.saving_ratio, (before - last) / before, kRounding);
            EXPECT_FALSE(row.fingerprints.empty());
            EXPECT_FALSE(row.reason.empty());
        }
        for (const IndexId removed : ids) {
            std::vector<IndexId> others;
            std::copy_if(ids.begin(), ids.end(), std::back_inserter(others),
                         [&](IndexId id) { return id != removed; });
            const double without = Measure(c, others);
            EXPECT_GT(without, after);
            EXPECT_GE(without - after, c.options.min_saving_ratio * without - kRounding * before);
        }
        rows += ids.size();
    }
    EXPECT_GT(rows, kRounds);  // or the test has tested nothing
}

TEST(AdvicePropertyTest, CurveKeepsBudgetsAndNeverRises) {
    size_t improved = 0;
    for (uint64_t seed = 1; seed <= 150; ++seed) {
        SCOPED_TRACE(seed);
        RandomCase c(seed, {});
        c.options.budget_bytes.reset();
        c.options.min_saving_ratio = 0;
        const std::vector<int64_t> budgets = {8'000'000, 1, 300'000, 2'000'000, 300'000};
        const BudgetCurve curve = AdviseCurve(c.port, c.options, budgets).OrThrow();
        RandomCase again(seed, {});
        again.options = c.options;
        EXPECT_EQ(AdviseCurve(again.port, again.options, budgets).OrThrow().planner_calls,
                  curve.planner_calls);
        ASSERT_EQ(curve.points.size(), budgets.size());
        for (size_t i = 0; i < budgets.size(); ++i) {
            EXPECT_EQ(curve.points[i].budget_bytes, budgets[i]);
            EXPECT_LE(curve.points[i].size_bytes, static_cast<double>(budgets[i]));
            EXPECT_LE(curve.points[i].cost_after, curve.baseline_cost);
            EXPECT_EQ(curve.points[i].create_sqls.empty(), curve.points[i].size_bytes == 0);
            for (size_t k = 0; k < budgets.size(); ++k) {
                EXPECT_TRUE(budgets[k] > budgets[i] ||
                            curve.points[k].cost_after >= curve.points[i].cost_after);
            }
        }
        EXPECT_TRUE(curve.points[1].create_sqls.empty());
        EXPECT_EQ(curve.points[2].create_sqls, curve.points[4].create_sqls);
        improved += curve.points[0].cost_after < curve.points[2].cost_after ? 1 : 0;
    }
    EXPECT_GT(improved, 20U);  // or the budgets have decided nothing
}

TEST(AdvicePropertyTest, SameInputSameOutput) {
    for (uint64_t seed = 1; seed <= 100; ++seed) {
        SCOPED_TRACE(seed);
        RandomCase first(seed, {});
        RandomCase second(seed, {});
        const Advice a = Advise(first.port, first.options).OrThrow();
        const Advice b = Advise(second.port, second.options).OrThrow();
        ASSERT_EQ(a.indexes.size(), b.indexes.size());
        EXPECT_EQ(a.planner_calls, b.planner_calls);
        EXPECT_EQ(a.cache_hits, b.cache_hits);
        for (size_t i = 0; i < a.indexes.size(); ++i) {
            EXPECT_EQ(a.indexes[i].create_sql, b.indexes[i].create_sql);
            EXPECT_EQ(a.indexes[i].cost_after, b.indexes[i].cost_after);
            EXPECT_EQ(a.indexes[i].reason, b.indexes[i].reason);
            EXPECT_EQ(a.indexes[i].warnings, b.indexes[i].warnings);
        }
    }
}

TEST(AdvicePropertyTest, IsNeverWorseThanEitherGreedy) {
    for (uint64_t seed = 1; seed <= 150; ++seed) {
        SCOPED_TRACE(seed);
        RandomCase c(seed, {.relations = 2, .columns = 4, .statements = 4});
        c.options.min_saving_ratio = 0;
        c.options.max_columns = std::min(c.options.max_columns, 2);
        const Advice advice = Advise(c.port, c.options).OrThrow();
        const double cost = Measure(c, Ids(advice));
        const std::vector<IndexId> candidates = DeclaredCandidates(c);
        for (const bool per_byte : {false, true}) {
            EXPECT_LE(cost, PlainGreedy(c, candidates, per_byte) * (1 + kRounding));
        }
    }
}

TEST(AdvicePropertyTest, IsNearTheOptimumFoundByBruteForce) {
    int cases = 0;
    int optimal = 0;
    for (uint64_t seed = 1; seed <= 600; ++seed) {
        SCOPED_TRACE(seed);
        RandomCase c(seed, {.relations = 1, .columns = 4, .statements = 3});
        c.options.min_saving_ratio = 0;
        c.options.max_columns = std::min(c.options.max_columns, 2);
        const double before = Measure(c, {});
        const Advice advice = Advise(c.port, c.options).OrThrow();
        const double cost = Measure(c, Ids(advice));
        const std::vector<IndexId> candidates = DeclaredCandidates(c);
        if (candidates.empty() || candidates.size() > 9) {
            continue;
        }
        double best = before;
        for (uint32_t mask = 0; mask < 1U << candidates.size(); ++mask) {
            std::vector<IndexId> subset;
            for (size_t i = 0; i < candidates.size(); ++i) {
                if ((mask >> i & 1) != 0) {
                    subset.push_back(candidates[i]);
                }
            }
            if (Fits(c, subset)) {
                best = std::min(best, Measure(c, subset));
            }
        }
        ++cases;
        optimal += cost <= best * (1 + kRounding) ? 1 : 0;
        EXPECT_GE(cost, best * (1 - kRounding));
        EXPECT_GE(before - cost, 0.7 * (before - best));
    }
    EXPECT_GT(cases, 200);
    EXPECT_GE(optimal, cases * 97 / 100);
}

TEST(AdvicePropertyTest, TreeAnswersAreDirectPrices) {
    for (uint64_t seed = 1; seed <= 100; ++seed) {
        SCOPED_TRACE(seed);
        RandomCase c(seed, {});
        const std::vector<IndexId> ids = DeclaredCandidates(c);
        if (ids.empty()) {
            continue;
        }
        Workload workload;
        std::vector<IndexSet> concerned;
        for (const WorkloadStatement& given : c.options.workload) {
            Statement statement = c.port.Analyse(given.text).value();
            const double cost = c.port.Direct(statement.id, {}).cost;
            concerned.emplace_back(ids.size());
            for (size_t i = 0; i < ids.size(); ++i) {
                for (const RelationUse& use : statement.uses) {
                    // The OR of two columns and the groupings included.
                    if (c.port.spec(ids[i]).relation == use.relation) {
                        concerned.back().Add(i);
                    }
                }
            }
            workload.items.push_back({std::move(statement), 1, workload.items.size() + 1, cost});
        }
        Planner planner(c.port);
        PriceCache cache(planner, workload, ids, concerned);
        std::mt19937_64 random(seed);
        int64_t questions = 0;
        for (int round = 0; round < 200; ++round) {
            IndexSet set(ids.size());
            std::vector<IndexId> given;
            for (size_t i = 0; i < ids.size(); ++i) {
                if (random() % 3 == 0) {
                    set.Add(i);
                    given.push_back(ids[i]);
                }
            }
            std::sort(given.begin(), given.end());
            for (size_t item = 0; item < workload.items.size(); ++item) {
                const CachedPrice& price = cache.Price(item, set);
                const Price direct = c.port.Direct(workload.items[item].statement.id, given);
                EXPECT_EQ(price.cost, direct.cost);
                std::vector<IndexId> used;
                for (const size_t candidate : price.used) {
                    used.push_back(ids[candidate]);
                }
                std::sort(used.begin(), used.end());
                EXPECT_EQ(used, direct.used);
                ++questions;
            }
        }
        EXPECT_EQ(planner.calls(), c.port.planner_calls);
        EXPECT_LT(planner.calls(), questions / 2);
        EXPECT_LE(questions - cache.hits(), planner.calls());
    }
}

TEST(AdvicePropertyTest, AnyPlantedFaultEndsTheCallAndNothingElse) {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
        int64_t calls = 0;
        int64_t questions = 0;
        {
            RandomCase c(seed, {});
            ASSERT_TRUE(Advise(c.port, c.options).ok());
            calls = c.port.calls;
            questions = c.port.stop_questions;
        }
        ASSERT_GE(questions, calls);
        for (int64_t n = 1; n <= calls; n += 1 + calls / 150) {
            SCOPED_TRACE(testing::Message() << "seed " << seed << ", call " << n);
            RandomCase failing(seed, {});
            failing.port.fail_at = n;
            const Result<Advice> failed = Advise(failing.port, failing.options);
            ASSERT_FALSE(failed.ok());
            EXPECT_EQ(failed.error().code(), Code::kHost);
            EXPECT_NE(failed.error().message().find("planted failure"), std::string::npos);

            RandomCase throwing(seed, {});
            throwing.port.throw_at = n;
            EXPECT_THROW((void)Advise(throwing.port, throwing.options), ForeignUnwinding);
        }
        for (int64_t n = 1; n <= questions; n += 1 + questions / 150) {
            SCOPED_TRACE(testing::Message() << "seed " << seed << ", question " << n);
            RandomCase stopped(seed, {});
            stopped.port.stop_at = n;
            const Result<Advice> result = Advise(stopped.port, stopped.options);
            ASSERT_FALSE(result.ok());
            EXPECT_EQ(result.error().code(), Code::kInterrupted);
            EXPECT_EQ(stopped.port.stop_questions, n);  // nothing was asked afterwards
        }
    }
}

TEST(AdvicePropertyTest, TheTimeLimitLeavesTheBestSoFar) {
    int late = 0;
    for (uint64_t seed = 1; seed <= 150; ++seed) {
        SCOPED_TRACE(seed);
        RandomCase c(seed, {});
        c.port.ms_per_call = 10;
        c.options.time_limit_ms = 1 + static_cast<int64_t>(seed % 50) * 8;
        const Advice advice = Advise(c.port, c.options).OrThrow();
        const std::vector<IndexId> ids = Ids(advice);
        EXPECT_TRUE(Fits(c, ids));
        EXPECT_LE(Measure(c, ids), Measure(c, {}));
        if (!advice.is_complete) {
            ++late;
            for (const AdvisedIndex& row : advice.indexes) {
                EXPECT_NE(std::find(row.warnings.begin(), row.warnings.end(),
                                    "time_limit ended the search: a longer one may find better"),
                          row.warnings.end());
            }
        }
    }
    EXPECT_GT(late, 30);
}

}  // namespace
}  // namespace upkeep::advisor
