// How many questions a second the what-if tree answers, and how few plans it needs for them; and a
// whole advice on the fake host, whose planner costs next to nothing: what is measured is ours.
// SPDX-License-Identifier: PostgreSQL
#include <benchmark/benchmark.h>

#include "advisor/candidates.h"
#include "advisor/price_cache.h"
#include "unit/advisor/random_case.h"

namespace upkeep::advisor {
namespace {

struct Setup {
    explicit Setup(uint64_t seed)
        : c(seed, {.relations = 6, .columns = 8, .statements = 40}), planner(c.port) {
        for (const WorkloadStatement& given : c.options.workload) {
            Statement statement = c.port.Analyse(given.text).value();
            const double cost = c.port.Direct(statement.id, {}).cost;
            workload.items.push_back(
                {std::move(statement), given.weight, workload.items.size() + 1, cost});
        }
        const std::vector<Candidate> candidates = GenerateCandidates(c.port, workload, {});
        concerned.assign(workload.items.size(), IndexSet(candidates.size()));
        for (size_t i = 0; i < candidates.size(); ++i) {
            ids.push_back(c.port.Declare(candidates[i].spec).value());
            for (const size_t item : candidates[i].items) {
                concerned[item].Add(i);
            }
        }
    }
    RandomCase c;
    Planner planner;
    Workload workload;
    std::vector<IndexId> ids;
    std::vector<IndexSet> concerned;
};

void BM_TreeAnswers(benchmark::State& state) {
    Setup setup(7);
    PriceCache cache(setup.planner, setup.workload, setup.ids, setup.concerned);
    std::mt19937_64 random(1);
    int64_t questions = 0;
    for (auto _ : state) {
        IndexSet set(setup.ids.size());
        for (int i = 0; i < 8; ++i) {
            set.Add(random() % setup.ids.size());
        }
        for (size_t item = 0; item < setup.workload.items.size(); ++item) {
            benchmark::DoNotOptimize(cache.Price(item, set).cost);
            ++questions;
        }
    }
    state.SetItemsProcessed(questions);
    state.counters["plans"] = static_cast<double>(setup.planner.calls());
    state.counters["plans_per_1000_questions"] =
        1000.0 * static_cast<double>(setup.planner.calls()) / static_cast<double>(questions);
}
BENCHMARK(BM_TreeAnswers);

void BM_Candidates(benchmark::State& state) {
    Setup setup(7);
    for (auto _ : state) {
        benchmark::DoNotOptimize(GenerateCandidates(setup.c.port, setup.workload, {}));
    }
}
BENCHMARK(BM_Candidates)->Unit(benchmark::kMillisecond);

void BM_Advise(benchmark::State& state) {
    int64_t plans = 0;
    size_t statements = 0;
    const int limit = static_cast<int>(state.range(0));
    for (auto _ : state) {
        RandomCase c(7, {.relations = 25, .columns = 10, .statements = limit});
        statements = c.options.workload.size();
        const Advice advice = Advise(c.port, c.options).OrThrow();
        plans = advice.planner_calls;
    }
    state.counters["plans"] = static_cast<double>(plans);
    state.counters["statements"] = static_cast<double>(statements);
}
BENCHMARK(BM_Advise)->Arg(40)->Arg(400)->Arg(10000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace upkeep::advisor
