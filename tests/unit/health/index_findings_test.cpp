// Decisions about existing indexes: each code with a case that gives it and one that must not.
// SPDX-License-Identifier: PostgreSQL
#include "upkeep/health/index_findings.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace upkeep::health {
namespace {

IndexDescription Index(std::string name, std::vector<std::string> columns) {
    IndexDescription index;
    index.table_id = 1;
    index.table_name = "t";
    index.schema_sql = "public";
    index.name = name;
    index.access_method = "btree";
    for (std::string& column : columns) {
        index.keys.push_back({std::move(column), "100", "200", false, false});
    }
    index.scans = 5;
    index.size_bytes = 4 << 20;
    index.create_sql = "CREATE INDEX " + name;
    index.drop_sql = "DROP INDEX " + name;
    return index;
}

IndexDescription Unique(std::string name, std::vector<std::string> columns) {
    IndexDescription index = Index(std::move(name), std::move(columns));
    index.is_unique = true;
    return index;
}

IndexDescription Constraint(std::string name, std::vector<std::string> columns) {
    IndexDescription index = Unique(std::move(name), std::move(columns));
    index.backs_constraint = true;
    return index;
}

IndexInventory Of(std::vector<IndexDescription> indexes) {
    IndexInventory inventory;
    inventory.indexes = std::move(indexes);
    inventory.counters_age_s = 30 * 86400.0;
    return inventory;
}

/// `code index covered_by` of each finding.
std::vector<std::string> Found(const IndexInventory& inventory) {
    std::vector<std::string> out;
    for (const IndexFinding& finding : FindIndexFindings(inventory)) {
        out.push_back(finding.code + " " + finding.index_name +
                      (finding.covered_by.empty() ? "" : " " + finding.covered_by));
    }
    return out;
}

using Texts = std::vector<std::string>;

TEST(Duplicate, OfTwoEqualIndexesTheLessUsedGoes) {
    IndexDescription used = Index("z", {"a"});
    used.scans = 9;
    EXPECT_EQ(Found(Of({Index("b", {"a"}), used})), Texts{"duplicate b z"});
    EXPECT_EQ(Found(Of({Index("b", {"a"}), Index("c", {"a"})})), Texts{"duplicate c b"});
}

TEST(Duplicate, OfThreeOneStays) {
    EXPECT_EQ(Found(Of({Index("c", {"a"}), Index("b", {"a"}), Index("d", {"a"})})),
              (Texts{"duplicate c b", "duplicate d b"}));
}

TEST(Duplicate, ConstraintStaysHoweverLittleItIsUsed) {
    IndexDescription key = Constraint("t_key", {"a"});
    key.scans = 0;
    const auto findings = FindIndexFindings(Of({Index("a_idx", {"a"}), key}));
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].index_name, "a_idx");
    EXPECT_EQ(findings[0].covered_by, "t_key");
    EXPECT_EQ(findings[0].fix_sql, "DROP INDEX a_idx");
    EXPECT_EQ(findings[0].undo_sql, "CREATE INDEX a_idx");
    EXPECT_NE(findings[0].evidence.find("backs a constraint"), std::string::npos);
}

TEST(Duplicate, NeitherConstraintNorReplicaIdentityIsProposed) {
    EXPECT_EQ(Found(Of({Constraint("k1", {"a"}), Constraint("k2", {"a"})})), Texts{});
    IndexDescription identity = Unique("identity", {"a"});
    identity.is_replica_identity = true;
    EXPECT_EQ(Found(Of({identity, Constraint("k", {"a"})})), Texts{});
}

TEST(Duplicate, UniqueStaysOverPlain) {
    EXPECT_EQ(Found(Of({Unique("u", {"a"}), Index("a_first", {"a"})})),
              Texts{"duplicate a_first u"});
    EXPECT_EQ(Found(Of({Unique("u", {"a"}), Index("wide", {"a", "b"})})), Texts{});
}

TEST(Duplicate, WhatDiffersIsNoDuplicate) {
    const IndexDescription plain = Index("plain", {"a"});
    const auto differs = [&](auto change) {
        IndexDescription other = Index("other", {"a"});
        change(&other);
        return Found(Of({plain, other})) == Texts{};
    };
    EXPECT_TRUE(differs([](auto* other) { other->table_id = 2; }));
    EXPECT_TRUE(differs([](auto* other) { other->access_method = "hash"; }));
    EXPECT_TRUE(differs([](auto* other) { other->predicate = "(b > 1)"; }));
    EXPECT_TRUE(differs([](auto* other) { other->keys[0].collation = "101"; }));
    EXPECT_TRUE(differs([](auto* other) { other->keys[0].opclass = "201"; }));
    EXPECT_TRUE(differs([](auto* other) { other->keys[0].expression = "b"; }));
    EXPECT_TRUE(differs([](auto* other) { other->keys[0].nulls_first = true; }));
    EXPECT_FALSE(differs([](auto*) {}));
}

TEST(Duplicate, IncludedColumnsCount) {
    IndexDescription covering = Index("covering", {"a"});
    covering.included = {"b"};
    EXPECT_EQ(Found(Of({covering, Index("plain", {"a"})})), Texts{"duplicate plain covering"});
    EXPECT_EQ(Found(Of({covering, Index("wide", {"a", "b"})})),
              Texts{"redundant_prefix covering wide"});
    EXPECT_EQ(Found(Of({covering, Index("wide", {"a", "c"})})), Texts{});
}

TEST(Duplicate, ReadBackwardsIsTheSameOrder) {
    IndexDescription down = Index("down", {"a"});
    down.keys[0].descending = down.keys[0].nulls_first = true;
    EXPECT_EQ(Found(Of({down, Index("up", {"a"})})), Texts{"duplicate up down"});
    IndexDescription mixed = Index("mixed", {"a", "b"});
    mixed.keys[1].descending = mixed.keys[1].nulls_first = true;
    EXPECT_EQ(Found(Of({mixed, Index("both", {"a", "b"})})), Texts{});
}

TEST(RedundantPrefix, LeadingKeysOnly) {
    EXPECT_EQ(Found(Of({Index("a_b", {"a", "b"}), Index("a", {"a"})})),
              Texts{"redundant_prefix a a_b"});
    EXPECT_EQ(Found(Of({Index("a_b", {"a", "b"}), Index("b", {"b"})})), Texts{});
    EXPECT_EQ(Found(Of({Index("a_b", {"a", "b"}), Unique("a", {"a"})})), Texts{});
    IndexDescription gin = Index("g", {"a"}), wide_gin = Index("gw", {"a", "b"});
    gin.access_method = wide_gin.access_method = "gin";
    EXPECT_EQ(Found(Of({gin, wide_gin})), Texts{});
}

TEST(RedundantPrefix, WhatCoversIsNeverDroppedItself) {
    // `order` duplicates the constraint; `a` must name the constraint, not `order`.
    EXPECT_EQ(
        Found(Of({Index("a", {"a"}), Index("order", {"a", "b"}), Constraint("key", {"a", "b"})})),
        (Texts{"duplicate order key", "redundant_prefix a key"}));
    EXPECT_EQ(
        Found(Of({Index("a", {"a"}), Index("ab", {"a", "b"}), Index("abc", {"a", "b", "c"})})),
        (Texts{"redundant_prefix a abc", "redundant_prefix ab abc"}));
}

TEST(RedundantPrefix, NotByAnInvalidOne) {
    IndexDescription broken = Index("a_b", {"a", "b"});
    broken.is_valid = false;
    EXPECT_EQ(Found(Of({broken, Index("a", {"a"})})), Texts{"invalid a_b"});
}

TEST(Invalid, NotWhileItIsBuilt) {
    IndexDescription broken = Index("i", {"a"});
    broken.is_valid = false;
    EXPECT_EQ(Found(Of({broken})), Texts{"invalid i"});
    broken.is_being_built = true;
    EXPECT_EQ(Found(Of({broken})), Texts{});
}

TEST(Unused, IsACandidateWithTheAgeOfTheCounters) {
    IndexDescription index = Index("i", {"a"});
    index.scans = 0;
    const auto findings = FindIndexFindings(Of({index}));
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].code, "unused");
    EXPECT_EQ(findings[0].severity, "info");
    EXPECT_NE(findings[0].evidence.find("candidate: 0 scans in 30 days"), std::string::npos);
    EXPECT_EQ(findings[0].fix_sql, "DROP INDEX i");
}

TEST(Unused, YoungOrUnknownCountersOfferNoDrop) {
    IndexDescription index = Index("i", {"a"});
    index.scans = 0;
    IndexInventory inventory = Of({index});
    for (const std::optional<double> age : {std::optional<double>(3600), std::optional<double>()}) {
        inventory.counters_age_s = age;
        const auto findings = FindIndexFindings(inventory);
        ASSERT_EQ(findings.size(), 1U);
        EXPECT_EQ(findings[0].fix_sql, "");
        EXPECT_EQ(findings[0].undo_sql, "");
    }
}

TEST(Unused, NotWhatEnforcesIsUsedIsSmallOrIsNotCounted) {
    const auto is_silent = [](auto change) {
        IndexDescription index = Index("i", {"a"});
        index.scans = 0;
        change(&index);
        return Found(Of({index})) == Texts{};
    };
    EXPECT_FALSE(is_silent([](auto*) {}));
    EXPECT_TRUE(is_silent([](auto* index) { index->is_unique = true; }));
    EXPECT_TRUE(is_silent([](auto* index) { index->backs_constraint = true; }));
    EXPECT_TRUE(is_silent([](auto* index) { index->is_replica_identity = true; }));
    EXPECT_TRUE(is_silent([](auto* index) { index->is_partition_child = true; }));
    EXPECT_TRUE(is_silent([](auto* index) { index->scans = 1; }));
    EXPECT_TRUE(is_silent([](auto* index) { index->scans.reset(); }));
    EXPECT_TRUE(is_silent([](auto* index) { index->size_bytes = 8192; }));
}

TEST(Unused, NotTheOneThatAForeignKeyNeeds) {
    IndexDescription index = Index("i", {"a"});
    index.scans = 0;
    IndexInventory inventory = Of({index, Index("j", {"a", "b"})});
    inventory.foreign_keys.emplace_back();
    inventory.foreign_keys.back().table_id = 1;
    inventory.foreign_keys.back().columns = inventory.foreign_keys.back().columns_sql = {"a"};
    EXPECT_EQ(Found(inventory), Texts{"redundant_prefix i j"});
    inventory.indexes[1].scans = 0;  // the last one that serves it
    EXPECT_EQ(Found(inventory), Texts{"redundant_prefix i j"});
    inventory.foreign_keys.clear();
    EXPECT_EQ(Found(inventory), (Texts{"redundant_prefix i j", "unused j"}));
}

TEST(Duplicate, NotOfAnExtensionNorByADeferrableConstraint) {
    IndexDescription member = Index("member", {"a"});
    member.is_extension_member = true;
    EXPECT_EQ(Found(Of({member, Constraint("k", {"a"})})), Texts{});
    IndexDescription late = Constraint("late", {"a"});
    late.is_immediate = false;
    EXPECT_EQ(Found(Of({late, Unique("u", {"a"})})), Texts{});
}

TEST(RedundantPartial, OnlyWhereItLeavesOutNextToNothing) {
    IndexDescription whole = Index("whole", {"a", "b"});
    whole.entries = 10000;
    IndexDescription partial = Index("partial", {"a"});
    partial.predicate = "(c > 1)";
    partial.entries = 9000;
    EXPECT_EQ(Found(Of({whole, partial})), Texts{"redundant_partial partial whole"});
    partial.entries = 5000;
    EXPECT_EQ(Found(Of({whole, partial})), Texts{});
    partial.entries.reset();
    EXPECT_EQ(Found(Of({whole, partial})), Texts{});
    partial.entries = 9000;
    partial.is_unique = true;
    EXPECT_EQ(Found(Of({whole, partial})), Texts{});
}

/// 1,000 pages, 100,000 rows: reading it whole is 2,000 units.
IndexInventory Written(IndexDescription index) {
    IndexInventory inventory = Of({std::move(index)});
    inventory.table_facts[1] = {100000, 1000, 500};
    return inventory;
}

TEST(Costly, WritesAgainstTheMostThatScansCanSave) {
    IndexDescription index = Index("i", {"a"});
    index.writes = 1000000;
    index.scans = 100;  // saves 200,000 at most
    index.entries_read = 100;
    EXPECT_EQ(Found(Written(index)), Texts{"costs_more_than_it_saves i"});
    EXPECT_EQ(FindIndexFindings(Written(index))[0].fix_sql, "DROP INDEX i");
    index.scans = 300;
    EXPECT_EQ(Found(Written(index)), Texts{});
    index.scans = 100;
    index.is_unique = true;
    EXPECT_EQ(Found(Written(index)), Texts{});
    index.is_unique = false;
    index.writes = 5000;
    EXPECT_EQ(Found(Written(index)), Texts{});
    index.writes.reset();
    EXPECT_EQ(Found(Written(index)), Texts{});
}

TEST(Costly, SqliteCountsInStepsAndPages) {
    IndexDescription index = Index("i", {"a"});
    index.writes = 300000;  // 3,600,000 steps and pages
    index.scans = 2;        // each saves 605,000 at most
    index.entries_read.reset();
    IndexInventory inventory = Written(index);
    inventory.host = Hosts::kSqlite;
    ASSERT_EQ(Found(inventory), Texts{"costs_more_than_it_saves i"});
    EXPECT_NE(FindIndexFindings(inventory)[0].evidence.find("at least 300000 entries made or"),
              std::string::npos);
    inventory.indexes[0].scans = 3;
    EXPECT_EQ(Found(inventory), Texts{});
    inventory.indexes[0].scans.reset();  // not known for certain
    EXPECT_EQ(Found(inventory), Texts{});
}

TEST(LowCardinality, NotWithARareValueNorWhereScansReadLittle) {
    IndexDescription index = Index("i", {"a"});
    index.distinct_values = 4;
    index.rarest_ratio = 0.2;
    EXPECT_EQ(Found(Written(index)), Texts{"low_cardinality i"});
    index.rarest_ratio = 0.01;
    EXPECT_EQ(Found(Written(index)), Texts{});
    index.rarest_ratio = 0.2;
    index.entries_read = 50;  // by five scans
    EXPECT_EQ(Found(Written(index)), Texts{});
    index.entries_read.reset();
    index.keys.push_back(index.keys[0]);
    EXPECT_EQ(Found(Written(index)), Texts{});
}

TEST(SmallTable, OnlyWhereReadsHadTheChoice) {
    IndexDescription index = Index("i", {"a"});
    index.scans = 0;
    index.size_bytes = 8192;
    IndexInventory inventory = Written(index);
    EXPECT_EQ(Found(inventory), Texts{});
    inventory.table_facts[1] = {50, 1, 500};
    EXPECT_EQ(Found(inventory), Texts{"small_table i"});
    inventory.table_facts[1].full_scans = 5;
    EXPECT_EQ(Found(inventory), Texts{});
}

TEST(Bloated, IsRebuiltAlsoWhereItBacksAConstraint) {
    IndexDescription index = Constraint("k", {"a"});
    index.expected_bytes = 1 << 20;
    index.rebuild_sql = "REINDEX k";
    const auto findings = FindIndexFindings(Of({index}));
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].code + findings[0].fix_sql + findings[0].undo_sql, "bloatedREINDEX k");
    index.expected_bytes = 3 << 20;
    EXPECT_EQ(Found(Of({index})), Texts{});
}

TEST(TableStatistics, NeverAnalysedAndStale) {
    IndexInventory inventory;
    inventory.tables = {{"never", "public.never", 5000, false, 5000},
                        {"small", "public.small", 10, false, 10},
                        {"stale", "public.stale", 5000, true, 4000},
                        {"fresh", "public.fresh", 5000, true, 1000}};
    const auto findings = FindIndexFindings(inventory);
    ASSERT_EQ(findings.size(), 2U);
    EXPECT_EQ(findings[0].code + findings[0].table_name, "needs_analyzestale");
    EXPECT_EQ(findings[1].code + findings[1].table_name, "never_analysednever");
    EXPECT_EQ(findings[1].fix_sql, "ANALYZE public.never");
}

ForeignKeyFacts Key(std::vector<std::string> columns) {
    ForeignKeyFacts key;
    key.table_id = 1;
    key.table_name = "t";
    key.table_sql = "public.t";
    key.schema_sql = "public";
    key.base_name = "t";
    key.columns = key.columns_sql = std::move(columns);
    key.referenced_table = "parent";
    key.child_rows = 10;
    key.parent_deletes = 0;
    return key;
}

size_t BareKeys(ForeignKeyFacts key, std::vector<IndexDescription> indexes) {
    IndexInventory inventory = Of(std::move(indexes));
    inventory.foreign_keys = {std::move(key)};
    return FindUnindexedKeys(inventory).size();
}

TEST(UnindexedKeys, AnyIndexThatLeadsWithItServes) {
    EXPECT_EQ(BareKeys(Key({"a"}), {}), 1U);
    EXPECT_EQ(BareKeys(Key({"a"}), {Index("i", {"a", "b"})}), 0U);
    EXPECT_EQ(BareKeys(Key({"a"}), {Index("i", {"b", "a"})}), 1U);
    EXPECT_EQ(BareKeys(Key({"a", "b"}), {Index("i", {"b", "a", "c"})}), 0U);
    EXPECT_EQ(BareKeys(Key({"a", "b"}), {Index("i", {"a"})}), 1U);
    EXPECT_EQ(BareKeys(Key({"a"}), {Constraint("pk", {"a"})}), 0U);
}

TEST(UnindexedKeys, PartialInvalidAndForeignIndexes) {
    IndexDescription index = Index("i", {"a"});
    index.predicate = "(a IS NOT NULL)";
    EXPECT_EQ(BareKeys(Key({"a"}), {index}), 0U);
    index.predicate = "(b IS NOT NULL)";
    EXPECT_EQ(BareKeys(Key({"a"}), {index}), 1U);
    index.predicate = "";
    index.is_valid = false;
    EXPECT_EQ(BareKeys(Key({"a"}), {index}), 1U);
    index.is_valid = true;
    index.access_method = "gin";
    EXPECT_EQ(BareKeys(Key({"a"}), {index}), 1U);
    index.access_method = "hash";
    EXPECT_EQ(BareKeys(Key({"a"}), {index}), 0U);
    index.table_id = 2;
    EXPECT_EQ(BareKeys(Key({"a"}), {index}), 1U);
}

TEST(UnindexedKeys, SeverityBySizeAndDeletes) {
    const auto severity = [](std::optional<int64_t> rows, std::optional<int64_t> deletes) {
        IndexInventory inventory;
        inventory.foreign_keys = {Key({"a"})};
        inventory.foreign_keys[0].child_rows = rows;
        inventory.foreign_keys[0].parent_deletes = deletes;
        return FindUnindexedKeys(inventory).at(0).severity;
    };
    EXPECT_EQ(severity(100000, 1), "high");
    EXPECT_EQ(severity(100000, 0), "medium");
    EXPECT_EQ(severity(99999, 1), "medium");
    EXPECT_EQ(severity(999, 1), "low");
    EXPECT_EQ(severity(999, 0), "info");
    EXPECT_EQ(severity(100000, std::nullopt), "high");
    EXPECT_EQ(severity(std::nullopt, 0), "info");
}

TEST(UnindexedKeys, SqlOfEachHost) {
    IndexInventory inventory;
    inventory.foreign_keys = {Key({"Zahl"})};
    inventory.foreign_keys[0].columns_sql = {"\"Zahl\""};
    inventory.foreign_keys[0].is_nullable = true;
    auto found = FindUnindexedKeys(inventory);
    EXPECT_EQ(found[0].create_sql,
              "CREATE INDEX CONCURRENTLY IF NOT EXISTS \"idx_t_Zahl\" ON public.t (\"Zahl\") WHERE "
              "\"Zahl\" IS NOT NULL");
    EXPECT_EQ(found[0].undo_sql, "DROP INDEX CONCURRENTLY IF EXISTS public.\"idx_t_Zahl\"");
    inventory.foreign_keys[0].is_partitioned = true;
    found = FindUnindexedKeys(inventory);
    EXPECT_EQ(found[0].create_sql.find("CONCURRENTLY"), std::string::npos);
    inventory.host = Hosts::kSqlite;
    inventory.foreign_keys = {Key({"a", "b"})};
    inventory.foreign_keys[0].schema_sql = "main";
    inventory.foreign_keys[0].table_sql = "t";
    found = FindUnindexedKeys(inventory);
    EXPECT_EQ(found[0].create_sql, "CREATE INDEX IF NOT EXISTS main.idx_t_a_b ON t (a, b)");
    EXPECT_EQ(found[0].undo_sql, "DROP INDEX IF EXISTS main.idx_t_a_b");
}

TEST(UnindexedKeys, NamesAreFreeAndShort) {
    IndexInventory inventory = Of({Index("idx_t_a", {"z"})});
    ForeignKeyFacts other = Key({"b"});
    other.base_name = std::string(80, 'x');
    other.table_id = 3;
    inventory.foreign_keys = {Key({"a"}), Key({"a"}), other};
    const auto found = FindUnindexedKeys(inventory);
    ASSERT_EQ(found.size(), 2U);  // the same columns twice need one index
    EXPECT_NE(found[0].create_sql.find(" idx_t_a_2 "), std::string::npos);
    const size_t begin = found[1].create_sql.find("idx_");
    EXPECT_EQ(found[1].create_sql.find(' ', begin) - begin, 63U);
}

IndexFinding Finding(std::string code, std::string table, std::string index) {
    IndexFinding finding;
    finding.code = std::move(code);
    finding.table_name = std::move(table);
    finding.index_name = std::move(index);
    return finding;
}

Texts Joined(const std::vector<IndexFinding>& known) {
    Texts out;
    for (const IndexFinding& one : JoinFindings(known, {Finding("wrong_order", "t", "i")})) {
        out.push_back(one.code + " " + one.index_name);
    }
    return out;
}

TEST(Joined, WhatStatementsSayTakesThePlaceOfUnusedAndGivesWayToRedundant) {
    EXPECT_EQ(Joined({}), (Texts{"wrong_order i"}));
    EXPECT_EQ(Joined({Finding("unused", "t", "i")}), (Texts{"wrong_order i"}));
    EXPECT_EQ(Joined({Finding("costs_more_than_it_saves", "t", "i")}), (Texts{"wrong_order i"}));
    EXPECT_EQ(Joined({Finding("bloated", "t", "i")}), (Texts{"bloated i", "wrong_order i"}));
    for (const char* code :
         {"duplicate", "redundant_prefix", "redundant_partial", "invalid", "small_table"}) {
        EXPECT_EQ(Joined({Finding(code, "t", "i")}), (Texts{std::string(code) + " i"}));
    }
    EXPECT_EQ(Joined({Finding("unused", "t", "other"), Finding("unused", "u", "i")}),
              (Texts{"unused other", "unused i", "wrong_order i"}));
}

}  // namespace
}  // namespace upkeep::health
