// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/rule_row.h"

#include <gtest/gtest.h>

#include <cmath>

#include "upkeep/base/table_function.h"

namespace upkeep::sessions {
namespace {

size_t At(std::string_view column) {
    const TableFunction& table = *FindCall("reap_rules");
    size_t at = 0;
    while (table.columns[at].name != column) {
        ++at;
    }
    return at;
}

Row With(std::string_view column, Value value) {
    Row row = {std::string("idle ones"),
               int64_t{7},
               true,
               std::string("shop"),
               std::string("app%"),
               std::string("%"),
               std::string("10.0.0.0/8"),
               std::string("idle in transaction"),
               int64_t{90'000},
               true,
               0.8,
               int64_t{2},
               int64_t{30},
               std::string("log"),
               TextArray{"listening", "held_cursor"}};
    row[At(column)] = std::move(value);
    return row;
}

TEST(RuleOfRowTest, EveryColumnArrivesInItsField) {
    const Rule rule = RuleOfRow(With("name", std::string("n"))).value();
    EXPECT_TRUE(rule.name == "n");
    EXPECT_EQ(rule.priority, 7);
    EXPECT_TRUE(rule.enabled);
    EXPECT_TRUE(rule.match_database == "shop");
    EXPECT_TRUE(rule.match_user == "app%");
    EXPECT_TRUE(rule.match_application == "%");
    EXPECT_TRUE(Contains(rule.match_address, "10.9.8.7"));
    EXPECT_FALSE(Contains(rule.match_address, "11.9.8.7"));
    EXPECT_TRUE(rule.match_state == kIdleInTransaction);
    EXPECT_EQ(rule.idle_for_ms, 90'000);
    EXPECT_TRUE(rule.only_blocking);
    EXPECT_EQ(rule.only_above_usage_ratio, 0.8);
    EXPECT_EQ(rule.keep_at_least, 2);
    EXPECT_EQ(rule.max_per_minute, 30);
    EXPECT_EQ(rule.action, RuleAction::kLog);
    EXPECT_EQ(rule.spare, kListening | kHeldCursor);
    EXPECT_FALSE(RuleOfRow(With("enabled", false)).value().enabled);
}

TEST(RuleOfRowTest, NullMeansWithoutLimitWhereItMayStand) {
    EXPECT_EQ(RuleOfRow(With("max_per_minute", {})).value().max_per_minute, Rule::kNoLimit);
    EXPECT_LT(RuleOfRow(With("only_above_usage_ratio", {})).value().only_above_usage_ratio, 0);
    EXPECT_EQ(RuleOfRow(With("match_address", {})).value().match_address.family,
              Network::Family::kAny);
}

TEST(RuleOfRowTest, NullElsewhereIsRefused) {
    int refused = 0;
    for (const Column& column : FindCall("reap_rules")->columns) {
        const Result<Rule> rule = RuleOfRow(With(column.name, {}));
        if (!rule.ok()) {
            ++refused;
            EXPECT_EQ(rule.error().code(), Code::kInvalidArgument);
            EXPECT_EQ(rule.error().message(), std::string(column.name) + " must not be null");
            EXPECT_FALSE(rule.error().hint().empty());
        }
    }
    EXPECT_EQ(refused, 12);
}

TEST(RuleOfRowTest, NumbersThatStandForNoLimitInsideAreRefusedFromOutside) {
    for (const int64_t bad : {int64_t{-1}, int64_t{0}, int64_t{-5}}) {
        EXPECT_FALSE(RuleOfRow(With("max_per_minute", bad)).ok()) << bad;
    }
    for (const double bad : {-1.0, -0.1, 1.1, std::nan("")}) {
        EXPECT_FALSE(RuleOfRow(With("only_above_usage_ratio", bad)).ok()) << bad;
    }
}

TEST(RuleOfRowTest, BadWordsAreRefused) {
    for (const char* column : {"match_address", "match_state", "action"}) {
        const Result<Rule> rule = RuleOfRow(With(column, std::string("nonsense")));
        ASSERT_FALSE(rule.ok()) << column;
        EXPECT_EQ(rule.error().code(), Code::kInvalidArgument);
        EXPECT_NE(rule.error().message().find(column), std::string::npos);
    }
    EXPECT_FALSE(RuleOfRow(With("spare", TextArray{"everything"})).ok());
    EXPECT_FALSE(RuleOfRow(With("action", std::string("cancel"))).ok());  // runs nothing
    EXPECT_FALSE(RuleOfRow(With("name", std::string())).ok());
    EXPECT_FALSE(RuleOfRow(With("match_user", std::string("a\\"))).ok());
}

TEST(RuleOfRowTest, ARowOfAnotherShapeIsOurFault) {
    Row row = With("priority", std::string("7"));
    EXPECT_EQ(RuleOfRow(row).error().code(), Code::kInternal);
    row.pop_back();
    EXPECT_EQ(RuleOfRow(row).error().code(), Code::kInternal);
}

Row OfDefaults() {
    Row row;
    for (const Column& column : FindCall("reap_rules")->columns) {
        row.push_back(DefaultOfRule(column.name));
    }
    row[At("name")] = std::string("a");
    return row;
}

TEST(DefaultOfRuleTest, AreThoseOfARule) {
    const Rule expected;
    const Rule rule = RuleOfRow(OfDefaults()).value();
    EXPECT_EQ(rule.priority, expected.priority);
    EXPECT_EQ(rule.enabled, expected.enabled);
    EXPECT_TRUE(rule.match_database == "%" && rule.match_user == "%");
    EXPECT_TRUE(rule.match_application == "%");
    EXPECT_EQ(rule.match_address.family, Network::Family::kAny);
    EXPECT_TRUE(rule.match_state == kIdle);
    EXPECT_EQ(rule.idle_for_ms, 600'000);
    EXPECT_FALSE(rule.only_blocking);
    EXPECT_LT(rule.only_above_usage_ratio, 0);
    EXPECT_EQ(rule.keep_at_least, 0);
    EXPECT_EQ(rule.max_per_minute, Rule::kNoLimit);
    EXPECT_EQ(rule.action, RuleAction::kEnd);
    EXPECT_EQ(rule.spare, kSpareAll);
}

TEST(RuleOfRowTest, SqliteRefusesWhatItHasNoMeansFor) {
    Row fits = OfDefaults();
    fits[At("match_state")] = std::string("idle in transaction");
    EXPECT_TRUE(RuleOfRow(fits, RuleFor::kSqlite).ok());
    struct Case {
        const char* column;
        Value value;
        const char* word;
    };
    const Case cases[] = {{"match_user", std::string("root"), "match_user"},
                          {"match_address", std::string("local"), "match_address"},
                          {"only_above_usage_ratio", 0.5, "only_above_usage_ratio"},
                          {"match_state", std::string("idle"), "only its owner can close it"},
                          {"match_state", std::string("idle in transaction (aborted)"), "already"},
                          {"match_state", std::string("active"), "never ended by a rule"}};
    for (const Case& one : cases) {
        Row row = fits;
        row[At(one.column)] = one.value;
        const Result<Rule> rule = RuleOfRow(row, RuleFor::kSqlite);
        ASSERT_FALSE(rule.ok()) << one.column;
        EXPECT_NE(rule.error().message().find(one.word), std::string::npos)
            << rule.error().message();
        EXPECT_FALSE(rule.error().hint().empty());
        row[At("action")] = std::string("log");
        EXPECT_EQ(RuleOfRow(row, RuleFor::kSqlite).ok(), one.column == std::string("match_state"))
            << one.column;
    }
}

}  // namespace
}  // namespace upkeep::sessions
