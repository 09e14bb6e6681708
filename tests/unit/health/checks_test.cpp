// The checklist: rules, evidence, and that nothing is ok without evidence.
// SPDX-License-Identifier: PostgreSQL
#include "upkeep/health/checks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>

#include "unit/health/rows.h"

namespace upkeep::health {
namespace {

enum Columns { kSection, kCode, kStatus, kTitle, kEvidence, kAdvice, kFix };

/// The row of `seen.code` where nothing else was seen.
struct OneRow {
    OneRow(Hosts host, const Observation& seen) {
        CheckHealth(host, std::span(&seen, 1), rows);
        at = static_cast<size_t>(rows.Find(kCode, seen.code));
    }
    std::string operator[](Columns column) const { return rows.Text(at, column); }

    Collected rows;
    size_t at = 0;
};

Observation Number(std::string code, std::optional<double> number) {
    Observation seen;
    seen.code = std::move(code);
    seen.number = number;
    seen.evidence = "seen";
    return seen;
}

Observation Word(std::string code, std::string word) {
    Observation seen;
    seen.code = std::move(code);
    seen.word = std::move(word);
    seen.evidence = "seen";
    return seen;
}

std::string StatusOf(Hosts host, const Observation& seen) {
    return OneRow(host, seen)[kStatus];
}

constexpr Hosts kPg = Hosts::kPostgres;
constexpr Hosts kSl = Hosts::kSqlite;

TEST(CheckTable, EachCodeOncePerHostAndWellFormed) {
    const std::set<std::string> sections = {"connections", "indexes",   "statements",
                                            "monitoring",  "settings",  "storage",
                                            "backup",      "workflows", "security"};
    for (const Hosts host : {kPg, kSl}) {
        Collected rows;
        CheckHealth(host, {}, rows);
        EXPECT_GE(rows.rows.size(), 30U);
        std::set<std::string> codes;
        for (size_t i = 0; i < rows.rows.size(); ++i) {
            EXPECT_TRUE(codes.insert(rows.Text(i, kCode)).second) << rows.Text(i, kCode);
            EXPECT_EQ(sections.count(rows.Text(i, kSection)), 1U) << rows.Text(i, kCode);
        }
    }
    for (const Check& check : AllChecks()) {
        const bool is_word = check.rule == Rule::kWord || check.rule == Rule::kEvidence;
        EXPECT_FALSE(check.title.empty() || check.advice.empty()) << check.code;
        EXPECT_NE(check.advice.back(), '.') << check.code;
        EXPECT_TRUE(check.rule != Rule::kManual || !check.blind.empty()) << check.code;
        EXPECT_TRUE(check.rule != Rule::kWord || !check.good.empty()) << check.code;
        EXPECT_TRUE(is_word || check.rule == Rule::kManual || check.good.empty()) << check.code;
        EXPECT_TRUE(check.rule != Rule::kAtMost || check.warn <= check.fail) << check.code;
        EXPECT_TRUE(check.rule != Rule::kAtLeast || check.warn >= check.fail) << check.code;
    }
}

TEST(CheckTable, EachItemOfTheGuideHasItsCode) {
    struct Item {
        const char* item;
        const char* postgres;
        const char* sqlite;
    };
    constexpr Item kItems[] = {
        {"G-CHK-01", "pool_size", "pool_size"},
        {"G-CHK-02", "pool_pre_ping", "pool_pre_ping"},
        {"G-CHK-03", "pool_recycle", "pool_recycle"},
        {"G-CHK-04", "statement_echo", "statement_echo"},
        {"G-CHK-05", "invalid_indexes", "redundant_indexes"},
        {"G-CHK-06", "foreign_keys_enforced", "foreign_keys_enforced"},
        {"G-CHK-07", "statement_timeout", "statement_timeout"},
        {"G-CHK-08", "slow_statement_log", "slow_statement_log"},
        {"G-CHK-09", "pool_metrics", "pool_metrics"},
        {"G-CHK-10", "statement_statistics", "statement_statistics"},
        {"G-CHK-11", "database_size", "database_size"},
        {"G-CHK-12", "alert_thresholds", "alert_thresholds"},
        {"G-CHK-13", "daily_backup", "daily_backup"},
        {"G-CHK-14", "backups_verified", "backups_verified"},
        {"G-CHK-15", "backups_off_site", "backups_off_site"},
        {"G-CHK-16", "recovery_tested", "recovery_tested"},
        {"G-CHK-17", "point_in_time_recovery", "point_in_time_recovery"},
        {"G-CHK-18", "backup_retention", "backup_retention"},
        {"G-CHK-19", "workflow_schema", "workflow_schema"},
        {"G-CHK-20", "autovacuum", "stale_statistics"},
        {"G-CHK-21", "plans_reviewed", "plans_reviewed"},
        {"G-CHK-22", "n_plus_one", "n_plus_one"},
        {"G-CHK-23", "connection_headroom", "connection_headroom"},
    };
    Collected postgres, sqlite;
    CheckHealth(kPg, {}, postgres);
    CheckHealth(kSl, {}, sqlite);
    for (const Item& item : kItems) {
        EXPECT_GE(postgres.Find(kCode, item.postgres), 0) << item.item;
        EXPECT_GE(sqlite.Find(kCode, item.sqlite), 0) << item.item;
    }
}

TEST(CheckHealth, NothingIsOkUnseen) {
    for (const Hosts host : {kPg, kSl}) {
        Collected rows;
        CheckHealth(host, {}, rows);
        for (size_t i = 0; i < rows.rows.size(); ++i) {
            const std::string status = rows.Text(i, kStatus);
            EXPECT_TRUE(status == "unknown" || status == "manual") << rows.Text(i, kCode);
            EXPECT_NE(rows.Text(i, kEvidence), "");
            EXPECT_NE(rows.Text(i, kAdvice), "NULL");
            EXPECT_EQ(rows.Text(i, kFix), "NULL");
        }
    }
}

TEST(AtMost, LimitsAreInclusive) {
    EXPECT_EQ(StatusOf(kPg, Number("connection_headroom", 0.79)), "ok");
    EXPECT_EQ(StatusOf(kPg, Number("connection_headroom", 0.8)), "warn");
    EXPECT_EQ(StatusOf(kPg, Number("connection_headroom", 0.95)), "fail");
    EXPECT_EQ(StatusOf(kPg, Number("connection_headroom", std::nullopt)), "unknown");
    EXPECT_EQ(StatusOf(kPg, Number("connection_headroom", std::nan(""))), "unknown");
    EXPECT_EQ(StatusOf(kPg, Number("unlogged_tables", 1e9)), "warn");  // has no limit to fail
}

TEST(AtLeast, TheLimitItselfIsEnough) {
    EXPECT_EQ(StatusOf(kSl, Number("busy_timeout", 1000)), "ok");
    EXPECT_EQ(StatusOf(kSl, Number("busy_timeout", 999)), "warn");
    EXPECT_EQ(StatusOf(kSl, Number("busy_timeout", 0)), "warn");
    EXPECT_EQ(StatusOf(kSl, Number("page_size", 4096)), "ok");
    EXPECT_EQ(StatusOf(kSl, Number("page_size", 1024)), "warn");
}

TEST(Words, GoodBadOther) {
    EXPECT_EQ(StatusOf(kSl, Word("journal_mode", "wal")), "ok");
    EXPECT_EQ(StatusOf(kSl, Word("journal_mode", "delete")), "warn");
    EXPECT_EQ(StatusOf(kSl, Word("journal_mode", "off")), "fail");
    EXPECT_EQ(StatusOf(kSl, Word("journal_mode", "")), "unknown");
    EXPECT_EQ(StatusOf(kSl, Word("journal_mode", "wal|in memory")), "warn");  // not a word of it
    EXPECT_EQ(StatusOf(kPg, Word("wal_archiving", "failing")), "fail");
    EXPECT_EQ(StatusOf(kPg, Word("daily_backup", "yes")), "ok");
    EXPECT_EQ(StatusOf(kPg, Word("pool_recycle", "yes")), "manual");  // whatever a host says
    EXPECT_EQ(StatusOf(kPg, Word("pool_size", "fits")), "ok");        // what pools reported
    EXPECT_EQ(StatusOf(kPg, Word("pool_size", "exhausted")), "warn");
    EXPECT_EQ(StatusOf(kPg, Word("pool_size", "exceeds")), "fail");
    EXPECT_EQ(StatusOf(kPg, Word("pool_size", "")), "manual");
    EXPECT_EQ(StatusOf(kPg, Word("pool_metrics", "silent")), "warn");
}

TEST(LowerBound, WarnsButDoesNotReassure) {
    Observation seen = Number("idle_in_transaction", 0);
    seen.is_lower_bound = true;
    seen.unknown_because = "3 sessions are hidden from you";
    const OneRow hidden(kPg, seen);
    EXPECT_EQ(hidden[kStatus], "unknown");
    EXPECT_NE(hidden[kEvidence].find("3 sessions are hidden"), std::string::npos);
    seen.number = 61;
    EXPECT_EQ(StatusOf(kPg, seen), "warn");
}

TEST(RuleText, SaysWhenItIsOk) {
    const auto text = [](std::string_view code, Hosts hosts) {
        for (const Check& check : AllChecks()) {
            if (check.code == code && check.hosts == hosts) {
                return RuleText(check);
            }
        }
        return std::string("no check");
    };
    EXPECT_EQ(text("connection_headroom", kPg), "warn from 80 %, fail from 95 %");
    EXPECT_EQ(text("journal_mode", kSl), "ok: wal, in memory; fail: off, memory");
    EXPECT_EQ(text("track_io_timing", kPg), "ok: on");
    EXPECT_EQ(text("pool_recycle", Hosts::kBoth), "manual");
    EXPECT_EQ(text("pool_size", Hosts::kBoth), "ok: fits; fail: exceeds; manual without evidence");
    EXPECT_EQ(text("pool_metrics", Hosts::kBoth), "ok: reported; unknown without evidence");
    EXPECT_EQ(text("daily_backup", Hosts::kBoth), "ok: yes; unknown without evidence");
}

TEST(Evidence, HasNumbersLimitsAndAFewNames) {
    Observation seen = Number("unlogged_tables", 7);
    seen.objects = {"a", "b", "c", "d", "e", "f", "g"};
    EXPECT_EQ(OneRow(kPg, seen)[kEvidence], "seen: a, b, c, d, e and 2 more (warn from 1)");
    EXPECT_EQ(OneRow(kPg, Number("connection_headroom", 0.5))[kEvidence],
              "seen (warn from 80 %, fail from 95 %)");
    EXPECT_EQ(OneRow(kSl, Number("wal_size", 5))[kEvidence],
              "seen (warn from 64 MB, fail from 1 GB)");
    Observation silent = Number("idle_in_transaction", 125);
    silent.evidence.clear();
    EXPECT_EQ(OneRow(kPg, silent)[kEvidence], "2.1 min (warn from 60 s, fail from 10 min)");
}

TEST(Fixes, OfTheObjectsElseOfTheCheckAndOnlyWhereNeeded) {
    EXPECT_EQ(OneRow(kSl, Word("journal_mode", "delete"))[kFix], "PRAGMA journal_mode = WAL");
    EXPECT_EQ(OneRow(kSl, Word("journal_mode", "wal"))[kFix], "NULL");
    EXPECT_EQ(OneRow(kSl, Word("journal_mode", "wal"))[kAdvice], "NULL");
    EXPECT_EQ(OneRow(kPg, Word("track_io_timing", "off"))[kFix],
              "ALTER SYSTEM SET track_io_timing = on;\nSELECT pg_reload_conf()");
    Observation seen = Number("unlogged_tables", 2);
    seen.fixes = {"ALTER TABLE a SET LOGGED", "ALTER TABLE b SET LOGGED"};
    EXPECT_EQ(OneRow(kPg, seen)[kFix], "ALTER TABLE a SET LOGGED;\nALTER TABLE b SET LOGGED");
    seen.number = 0;
    EXPECT_EQ(OneRow(kPg, seen)[kFix], "NULL");
}

IndexInventory SomeIndexes(double counters_age_s) {
    IndexInventory inventory;
    IndexDescription index;
    index.table_id = 1;
    index.table_name = "t";
    index.name = "i";
    index.access_method = "btree";
    index.keys = {{"a", "", "", false, false}};
    index.scans = 0;
    index.size_bytes = 8 << 20;
    index.create_sql = "CREATE INDEX i";
    index.drop_sql = "DROP INDEX i";
    inventory.indexes = {index, index};
    inventory.indexes[1].name = "j";
    inventory.counters_age_s = counters_age_s;
    return inventory;
}

std::string StatusOfIndexes(const IndexInventory& inventory, const std::string& code) {
    Collected rows;
    CheckHealth(kPg, ObserveIndexes(inventory), rows);
    return rows.Text(static_cast<size_t>(rows.Find(kCode, code)), kStatus);
}

TEST(ObserveIndexes, WhatTheFindingsSay) {
    const IndexInventory none;
    const IndexInventory two = SomeIndexes(30 * 86400.0);
    EXPECT_EQ(StatusOfIndexes(none, "redundant_indexes"), "ok");
    EXPECT_EQ(StatusOfIndexes(two, "redundant_indexes"), "warn");
    EXPECT_EQ(StatusOfIndexes(none, "invalid_indexes"), "ok");
    IndexInventory broken = two;
    broken.indexes[0].is_valid = false;
    EXPECT_EQ(StatusOfIndexes(broken, "invalid_indexes"), "warn");
    EXPECT_EQ(StatusOfIndexes(two, "unindexed_foreign_keys"), "ok");
    IndexInventory key = two;
    key.foreign_keys.emplace_back();
    key.foreign_keys[0].columns = key.foreign_keys[0].columns_sql = {"b"};
    EXPECT_EQ(StatusOfIndexes(key, "unindexed_foreign_keys"), "warn");
    EXPECT_EQ(StatusOfIndexes(two, "stale_statistics"), "ok");
    IndexInventory stale = two;
    stale.tables = {{"t", "t", 5000, false, 0}};
    EXPECT_EQ(StatusOfIndexes(stale, "stale_statistics"), "warn");
}

TEST(ObserveIndexes, UnusedNeedsCountersOfAWeek) {
    EXPECT_EQ(StatusOfIndexes(SomeIndexes(30 * 86400.0), "unused_indexes"), "warn");
    EXPECT_EQ(StatusOfIndexes(SomeIndexes(3600), "unused_indexes"), "unknown");
    IndexInventory used = SomeIndexes(30 * 86400.0);
    used.indexes[0].scans = used.indexes[1].scans = 3;
    EXPECT_EQ(StatusOfIndexes(used, "unused_indexes"), "ok");
    used.indexes[0].scans.reset();
    used.indexes[1].scans.reset();
    EXPECT_EQ(StatusOfIndexes(used, "unused_indexes"), "unknown");
}

}  // namespace
}  // namespace upkeep::health
