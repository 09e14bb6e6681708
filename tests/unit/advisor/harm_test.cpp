// Price::harm, Price::elsewhere and the order of creation: what a host with several states of its
// statistics tells the choices.
// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "fake_what_if.h"
#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {
namespace {

/// A host where an index that serves one statement may make another one slower.
class TouchyWhatIf : public FakeWhatIf {
  public:
    Result<Price> PriceWith(StatementId id, std::span<const IndexId> indexes) override {
        const Result<Price> price = FakeWhatIf::PriceWith(id, indexes);
        if (!price.ok()) {
            return price;
        }
        Price touchy = price.value();
        change(id, indexes, &touchy);
        return touchy;
    }
    bool DependsOnOrder() const override { return true; }
    bool IsPlanCheap() const override { return true; }

    std::function<void(StatementId, std::span<const IndexId>, Price*)> change =
        [](StatementId, std::span<const IndexId>, Price*) {};
};

class HarmTest : public testing::Test {
  protected:
    HarmTest() {
        t_ = port_.AddRelation("executions", 1e6,
                               {{"id", 1e6}, {"workflow_id", 500}, {"status", 5}, {"at", 9e5}});
        port_.AddStatement("frequent",
                           Reads({{.relation = t_, .predicates = {Equal(2, 0.01, "status = …")}}}));
        port_.AddStatement("both",
                           Reads({{.relation = t_,
                                   .predicates = {Equal(2, 0.01, "status = …"), Range(3, 0.01)}}}));
        port_.AddStatement("one",
                           Reads({{.relation = t_,
                                   .predicates = {Equal(1, 0.002), Equal(2, 0.9, "status = …")}}}));
        const RelationId other =
            port_.AddRelation("triggers", 1e4, {{"id", 1e4}, {"workflow_id", 500}});
        port_.AddStatement("rare", Reads({{.relation = other, .predicates = {Equal(1, 0.002)}}}));
        options_.workload = {{"frequent", 1000}, {"both", 1000}, {"one", 1}};
    }

    /// Statement 2 is slower, and uses it, with each index of which this is true.
    void HarmIf(const std::function<bool(const IndexSpec&)>& is_harmful) {
        port_.change = [this, is_harmful](StatementId id, std::span<const IndexId> indexes,
                                          Price* price) {
            for (const IndexId index : indexes) {
                if (id % 3 == 2 && is_harmful(port_.spec(index))) {
                    price->harm += 1;
                    price->used.push_back(index);
                }
            }
            std::sort(price->used.begin(), price->used.end());
            price->used.erase(std::unique(price->used.begin(), price->used.end()),
                              price->used.end());
        };
    }

    Advice Ask() { return Advise(port_, options_).OrThrow(); }

    bool HasKeys(const Advice& advice, const std::vector<int>& columns) const {
        return std::any_of(
            advice.indexes.begin(), advice.indexes.end(), [&](const AdvisedIndex& index) {
                return std::equal(
                    index.spec.keys.begin(), index.spec.keys.end(), columns.begin(), columns.end(),
                    [](const IndexKey& key, int column) { return key.column == column; });
            });
    }
    static bool Leads(const IndexSpec& spec, int column) {
        return spec.keys.front().column == column;
    }

    TouchyWhatIf port_;
    RelationId t_ = 0;
    AdviseOptions options_;
};

TEST_F(HarmTest, AnIndexThatSlowsAnotherStatementIsNotAdvisedWhateverItSaves) {
    const Advice before = Ask();
    EXPECT_TRUE(std::any_of(before.indexes.begin(), before.indexes.end(),
                            [](const AdvisedIndex& index) { return Leads(index.spec, 2); }));
    HarmIf([](const IndexSpec& spec) { return Leads(spec, 2); });
    for (const AdvisedIndex& index : Ask().indexes) {
        EXPECT_FALSE(Leads(index.spec, 2)) << index.create_sql;
    }
}

TEST_F(HarmTest, AnotherShapeTakesItsPlace) {
    HarmIf([](const IndexSpec& spec) { return Leads(spec, 2) && spec.keys.size() > 1; });
    const Advice advice = Ask();
    EXPECT_TRUE(HasKeys(advice, {2}));
    EXPECT_FALSE(HasKeys(advice, {2, 3}));
}

TEST_F(HarmTest, HarmThatIsThereWithoutAnyIndexForbidsNothing) {
    port_.change = [](StatementId id, std::span<const IndexId> indexes, Price* price) {
        price->elsewhere = id % 3 == 2 && indexes.empty() ? 1 : 0;
    };
    EXPECT_FALSE(Ask().indexes.empty());
}

TEST_F(HarmTest, AnIndexForTheOtherStateIsKeptAndSaysSo) {
    options_.workload = {{"frequent", 1}, {"rare", 1e-6}};
    port_.change = [](StatementId id, std::span<const IndexId>, Price* price) {
        price->elsewhere = id == 1 && price->used.empty() ? 1e14 : 0;
    };
    const Advice advice = Ask();
    ASSERT_TRUE(HasKeys(advice, {1}));
    const auto row = std::find_if(advice.indexes.begin(), advice.indexes.end(),
                                  [](const AdvisedIndex& index) { return Leads(index.spec, 1); });
    EXPECT_TRUE(std::any_of(
        row->warnings.begin(), row->warnings.end(),
        [](const std::string& text) { return text.find("ANALYZE") != std::string::npos; }));
}

TEST_F(HarmTest, RowsStandInAnOrderOfCreationThatDoesNoHarm) {
    options_.min_saving_ratio = 0;
    const Advice free = Ask();
    ASSERT_GT(free.indexes.size(), 1U);
    port_.change = [](StatementId, std::span<const IndexId> indexes, Price* price) {
        price->harm += std::is_sorted(indexes.begin(), indexes.end()) ? 0 : 1;
    };
    const Advice advice = Ask();
    ASSERT_EQ(advice.indexes.size(), free.indexes.size());
    EXPECT_TRUE(
        std::is_sorted(advice.indexes.begin(), advice.indexes.end(),
                       [](const AdvisedIndex& a, const AdvisedIndex& b) { return a.id < b.id; }));
}

}  // namespace
}  // namespace upkeep::advisor
