// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/saved_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "unit/capture/store_block.h"
#include "upkeep/capture/unfinished_plan.h"

namespace upkeep::capture {
namespace {

std::string Saved(Store& store, int64_t now_us = 77) {
    std::string file;
    Saver saver(store, now_us);
    for (std::string piece = saver.Next(); !piece.empty(); piece = saver.Next()) {
        EXPECT_LE(piece.size(), kMostSectionBytes);
        file += piece;
    }
    return file;
}

LoadResult Load(Store& store, std::string_view file, size_t piece = 4096) {
    Loader loader(store);
    for (size_t at = 0; at < file.size() && loader.WantsMore(); at += piece) {
        loader.Feed(file.substr(at, piece));
    }
    return loader.Finish();
}

std::map<int64_t, StatementSnapshot> ByFingerprint(Store& store) {
    std::map<int64_t, StatementSnapshot> all;
    for (StatementSnapshot& snapshot : store.statements().Snapshots()) {
        const int64_t fingerprint = snapshot.key.fingerprint;
        all[fingerprint] = std::move(snapshot);
    }
    return all;
}

uint64_t CallsOfCounters(Store& store) {
    uint64_t calls = 0;
    for (const CounterSnapshot& counter : store.counters().Snapshots()) {
        calls += counter.calls;
    }
    return calls;
}

SlowStatement SlowOne(int64_t number) {
    SlowStatement slow;
    slow.fields = {.ended_us = 1000 + number,
                   .duration_ns = 5000,
                   .fingerprint = number,
                   .database = 5,
                   .user = 10,
                   .pid = -3};
    slow.application_name = "app";
    slow.client_addr = "::1";
    slow.error_code = "57014";
    slow.query = "select ?";
    slow.parameters = "$1 = 'secret'";
    slow.plan = R"-([{"Node Type":"Seq Scan","Filter":"(name = 'secret'::text)"}])-";
    return slow;
}

/// Statement `number` ran `number` times; the odd ones on an endpoint, one failed.
void Fill(Store& store, int64_t statements) {
    StatementCache cache;
    for (int64_t number = 1; number <= statements; ++number) {
        store.texts().Keep(5, number, "select " + std::to_string(number), 10);
        for (int64_t run = 0; run < number; ++run) {
            RunOnce(store, cache, number);
        }
    }
    StatementKey tagged = KeyOf(1);
    tagged.endpoint = store.endpoints().IdOf("GET /orders");
    store.RecordNew(cache, tagged, {.operation = Operation::kSelect, .tables = "t1"},
                    ExecutionOf(1));
    Execution failed = ExecutionOf(2);
    failed.is_error = true;
    EXPECT_TRUE(store.Record(cache, KeyOf(2), failed));
    store.slow().Add(SlowOne(1));
    store.slow().Add(SlowOne(2));
    store.findings().Add({.parent = 1, .child = 2, .database = 5, .user = 10},
                         {.occurrences = 1, .total_repeats = 20, .max_repeats = 20});
}

TEST(SavedFileTest, AllComesBack) {
    StoreBlock store(SmallLimits(50));
    Fill(*store, 20);
    store->RestoreResetTime(42);
    StoreBlock later(SmallLimits(50));
    const LoadResult result = Load(*later, Saved(*store));
    EXPECT_EQ(result.problem, "");
    EXPECT_EQ(result.saved_us, 77);
    EXPECT_EQ(result.statements, 21U);
    EXPECT_EQ(result.left_out, 0U);
    EXPECT_EQ(later->ResetUs(), 42);
    EXPECT_EQ(CallsOfCounters(*later), CallsOfCounters(*store));

    std::map<int64_t, StatementSnapshot> before = ByFingerprint(*store);
    std::map<int64_t, StatementSnapshot> after = ByFingerprint(*later);
    ASSERT_EQ(after.size(), before.size());
    for (const auto& [fingerprint, old] : before) {
        const StatementSnapshot& now = after[fingerprint];
        EXPECT_TRUE(IsOwn(now)) << fingerprint;
        EXPECT_EQ(now.totals.calls, old.totals.calls);
        EXPECT_EQ(now.totals.errors, old.totals.errors);
        EXPECT_EQ(now.totals.first_seen_us, old.totals.first_seen_us);
        EXPECT_EQ(now.totals.last_seen_us, old.totals.last_seen_us);
        EXPECT_EQ(now.operation, Operation::kSelect);
        EXPECT_EQ(later->texts().Read(5, fingerprint, 10), "select " + std::to_string(fingerprint));
    }
}

TEST(SavedFileTest, SpreadAndLastTimesComeBack) {
    StoreBlock store(SmallLimits(10));
    StatementCache cache;
    for (uint64_t i = 1; i <= 100; ++i) {
        const Execution execution{.duration_ns = 1000000 + i * i,
                                  .ended_us = static_cast<int64_t>(i)};
        if (!store->Record(cache, KeyOf(1), execution)) {
            store->RecordNew(cache, KeyOf(1), {}, execution);
        }
    }
    StoreBlock later(SmallLimits(10));
    EXPECT_EQ(Load(*later, Saved(*store)).problem, "");
    const StatementSnapshot before = store->statements().Snapshots().at(0);
    const StatementSnapshot after = later->statements().Snapshots().at(0);
    EXPECT_NEAR(after.StddevNs(), before.StddevNs(), before.StddevNs() * 1e-9);
    EXPECT_EQ(after.totals.first_seen_us, 1);
    EXPECT_EQ(after.totals.last_seen_us, 100);
    ASSERT_EQ(after.buckets.size(), before.buckets.size());
    for (size_t i = 0; i < after.buckets.size(); ++i) {
        EXPECT_EQ(after.buckets[i].bucket, before.buckets[i].bucket);
        EXPECT_EQ(after.buckets[i].count, before.buckets[i].count);
    }
}

TEST(SavedFileTest, EndpointsKeepTheirNamesThoughTheirIdsChange) {
    StoreBlock store(SmallLimits(10));
    store->endpoints().IdOf("never used");
    Fill(*store, 2);
    StoreLimits larger = SmallLimits(10);
    larger.endpoints = 5;  // another size, other places
    StoreBlock later(larger);
    EXPECT_EQ(Load(*later, Saved(*store)).problem, "");
    std::vector<std::string> names;
    for (const StatementSnapshot& snapshot : later->statements().Snapshots()) {
        if (snapshot.key.endpoint != EndpointNames::kNone) {
            names.push_back(later->endpoints().NameOf(snapshot.key.endpoint));
        }
    }
    EXPECT_EQ(names, std::vector<std::string>{"GET /orders"});
}

TEST(SavedFileTest, SlowStatementsComeBackWithoutLiterals) {
    StoreBlock store(SmallLimits(10));
    Fill(*store, 2);
    const std::string file = Saved(*store);
    EXPECT_EQ(file.find("secret"), std::string::npos);
    StoreBlock later(SmallLimits(10));
    EXPECT_EQ(Load(*later, file).problem, "");
    const std::vector<SlowStatement> slow = later->slow().Read();
    ASSERT_EQ(slow.size(), 2U);
    EXPECT_EQ(slow[0].fields.fingerprint, 2);  // newest first, as before
    EXPECT_EQ(slow[0].fields.pid, -3);
    EXPECT_EQ(slow[0].application_name, "app");
    EXPECT_EQ(slow[0].client_addr, "::1");
    EXPECT_EQ(slow[0].error_code, "57014");
    EXPECT_EQ(slow[0].query, "select ?");
    EXPECT_EQ(slow[0].parameters, "");
    EXPECT_NE(slow[0].plan.find("Seq Scan"), std::string::npos);
}

FindingSnapshot FindingOne(int64_t number, uint32_t endpoint) {
    const auto repeats = static_cast<uint64_t>(10 * number);
    return {{.parent = number,
             .child = number + 100,
             .database = 5,
             .user = 10,
             .endpoint = endpoint,
             .kind = FindingKind::kRepeatedRead},
            {.occurrences = 3,
             .total_repeats = repeats,
             .max_repeats = 7,
             .total_ns = 9000,
             .last_seen_us = 500 + number}};
}

TEST(SavedFileTest, FindingsComeBackWithTheirTexts) {
    StoreBlock store(SmallLimits(10));
    store->endpoints().IdOf("GET /first");
    const FindingSnapshot saved = FindingOne(1, store->endpoints().IdOf("GET /orders"));
    store->findings().Add(saved.key, saved.totals);
    // the query of a cursor, which is no counted statement
    store->texts().Keep(5, 1, "select id from orders", 10);
    store->texts().Keep(5, 101, "select * from lines where id = ?", 10);
    StoreBlock later(SmallLimits(10));
    const LoadResult result = Load(*later, Saved(*store));
    EXPECT_EQ(result.problem, "");
    EXPECT_EQ(result.left_out, 0U);
    const std::vector<FindingSnapshot> all = later->findings().Snapshots();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(later->endpoints().NameOf(all[0].key.endpoint), "GET /orders");
    EXPECT_EQ(all[0].key.parent, 1);
    EXPECT_EQ(all[0].key.child, 101);
    EXPECT_EQ(all[0].key.database, 5U);
    EXPECT_EQ(all[0].key.user, 10U);
    EXPECT_EQ(all[0].key.kind, FindingKind::kRepeatedRead);
    EXPECT_EQ(all[0].totals.occurrences, 3U);
    EXPECT_EQ(all[0].totals.total_repeats, 10U);
    EXPECT_EQ(all[0].totals.max_repeats, 7U);
    EXPECT_EQ(all[0].totals.total_ns, 9000U);
    EXPECT_EQ(all[0].totals.last_seen_us, 501);
    EXPECT_EQ(later->texts().Read(5, 1, 10), "select id from orders");
    EXPECT_EQ(later->texts().Read(5, 101, 10), "select * from lines where id = ?");
}

TEST(SavedFileTest, ASmallerStoreKeepsTheFindingsOfMostRepeats) {
    StoreLimits limits = SmallLimits(10);
    limits.findings = 50;
    StoreBlock store(limits);
    for (int64_t number = 1; number <= 40; ++number) {
        const FindingSnapshot one = FindingOne(number, EndpointNames::kNone);
        store->findings().Add(one.key, one.totals);
    }
    limits.findings = 4;
    StoreBlock later(limits);
    const LoadResult result = Load(*later, Saved(*store));
    EXPECT_EQ(result.problem, "");
    EXPECT_EQ(result.left_out, 36U);
    std::vector<int64_t> parents;
    for (const FindingSnapshot& finding : later->findings().Snapshots()) {
        parents.push_back(finding.key.parent);
    }
    std::sort(parents.begin(), parents.end());
    EXPECT_EQ(parents, (std::vector<int64_t>{37, 38, 39, 40}));
}

TEST(SavedFileTest, PlansOfUnfinishedStatementsComeBackAsTheyAre) {
    StoreBlock store(SmallLimits(10));
    SlowStatement failed = SlowOne(1);
    const UnfinishedNode node{
        .relation = 1259, .type = "Seq Scan", .planned_rows = 12, .is_counted = true, .rows = 5};
    failed.plan = PackUnfinished({&node, 1}, 2);
    store->slow().Add(failed);
    StoreBlock later(SmallLimits(10));
    EXPECT_EQ(Load(*later, Saved(*store)).problem, "");
    ASSERT_EQ(later->slow().Read().size(), 1U);
    EXPECT_EQ(later->slow().Read()[0].plan, failed.plan);
    EXPECT_NE(UnfinishedJson(later->slow().Read()[0].plan, [](uint32_t) { return "pg_class"; })
                  .find("pg_class"),
              std::string::npos);
}

TEST(SavedFileTest, SamplesAreNotInIt) {
    StoreLimits limits = SmallLimits(10);
    StoreBlock store(limits);
    Fill(*store, 2);
    store->samples().Keep(5, 1, 10, "select 'hidden sample'");
    EXPECT_NE(store->samples().Read(5, 1, 10), std::nullopt);
    EXPECT_EQ(Saved(*store).find("hidden"), std::string::npos);
}

TEST(SavedFileTest, LongTextsComeBackAsTheyWere) {
    StoreLimits limits = SmallLimits(10);
    limits.text_bytes = 512 * 1024;
    StoreBlock store(limits);
    StatementCache cache;
    RunOnce(*store, cache, 1);
    store->texts().Keep(5, 2, std::string(70000, 'x'), 10);
    RunOnce(*store, cache, 2);
    store->texts().Keep(5, 3, std::string(kMostTextBytes - 1, 'x') + "\xC3\xA4\xC3\xA4", 10);
    RunOnce(*store, cache, 3);
    StoreBlock later(limits);
    EXPECT_EQ(Load(*later, Saved(*store)).problem, "");
    for (const int64_t number : {2, 3}) {
        EXPECT_TRUE(store->texts().Read(5, number, 10)->ends_with(kCut));
        EXPECT_EQ(later->texts().Read(5, number, 10), store->texts().Read(5, number, 10));
    }
}

TEST(SavedFileTest, ASmallerStoreKeepsTheMostUsed) {
    StoreBlock store(SmallLimits(200));
    Fill(*store, 100);
    StoreBlock later(SmallLimits(30));
    const LoadResult result = Load(*later, Saved(*store));
    EXPECT_EQ(result.problem, "");
    EXPECT_EQ(result.statements, 30U);
    EXPECT_EQ(later->statements().Evictions(), 0U);
    const std::map<int64_t, StatementSnapshot> kept = ByFingerprint(*later);
    EXPECT_EQ(kept.size(), 30U);
    EXPECT_EQ(kept.begin()->first, 71);  // work grows with the number
    EXPECT_EQ(CallsOfCounters(*later), CallsOfCounters(*store));
}

TEST(SavedFileTest, ATextMemoryThatIsTooSmallKeepsTextsOfTheMostUsed) {
    StoreLimits limits = SmallLimits(50);
    StoreBlock store(limits);
    Fill(*store, 40);
    limits.text_bytes = 4 * sizeof(TextChunk);
    StoreBlock later(limits);
    EXPECT_EQ(Load(*later, Saved(*store)).problem, "");
    EXPECT_EQ(later->texts().Read(5, 40, 10), "select 40");
    EXPECT_EQ(later->texts().Read(5, 1, 10), std::nullopt);
    EXPECT_EQ(later->statements().Snapshots().size(), 41U);
}

TEST(SavedFileTest, AnEmptyStoreMakesAFileThatLoads) {
    StoreBlock store(SmallLimits(10));
    StoreBlock later(SmallLimits(10));
    EXPECT_EQ(Load(*later, Saved(*store)).problem, "");
    EXPECT_TRUE(later->statements().Snapshots().empty());
}

TEST(SavedFileTest, InPiecesOfAnySize) {
    StoreBlock store(SmallLimits(10));
    Fill(*store, 5);
    const std::string file = Saved(*store);
    for (const size_t piece : {size_t{1}, size_t{7}, size_t{4096}, file.size()}) {
        StoreBlock later(SmallLimits(10));
        EXPECT_EQ(Load(*later, file, piece).problem, "") << piece;
        EXPECT_EQ(later->statements().Snapshots().size(), 6U);
    }
}

TEST(SavedFileTest, CutAtEveryByteItSaysSoAndTakesNoHalfSection) {
    StoreBlock store(SmallLimits(10));
    Fill(*store, 5);
    const std::string file = Saved(*store);
    for (size_t length = 0; length < file.size(); ++length) {
        StoreBlock later(SmallLimits(10));
        const LoadResult result = Load(*later, std::string_view(file).substr(0, length));
        EXPECT_NE(result.problem.find("ends early"), std::string::npos) << length;
        const size_t statements = later->statements().Snapshots().size();
        EXPECT_TRUE(statements == 0 || statements == 6) << length;
        for (const StatementSnapshot& snapshot : later->statements().Snapshots()) {
            EXPECT_TRUE(IsOwn(snapshot));
        }
    }
}

TEST(SavedFileTest, EveryAlteredByteIsFound) {
    StoreBlock store(SmallLimits(10));
    Fill(*store, 5);
    const std::string file = Saved(*store);
    for (size_t at = 0; at < file.size(); ++at) {
        for (const int change : {1, 0x80}) {
            std::string altered = file;
            altered[at] = static_cast<char>(altered[at] ^ change);
            StoreBlock later(SmallLimits(10));
            EXPECT_NE(Load(*later, altered).problem, "") << at;
            for (const StatementSnapshot& snapshot : later->statements().Snapshots()) {
                EXPECT_TRUE(IsOwn(snapshot)) << at;
            }
        }
    }
}

TEST(SavedFileTest, OtherFilesAreToldApart) {
    StoreBlock store(SmallLimits(10));
    Fill(*store, 5);
    std::string file = Saved(*store);
    StoreBlock later(SmallLimits(10));
    EXPECT_NE(Load(*later, "SQLite format 3 and so on").problem.find("not a file of saved"),
              std::string::npos);
    EXPECT_NE(Load(*later, file + "x").problem.find("goes on after its end"), std::string::npos);
    file[8] = 2;
    const LoadResult other = Load(*later, file);
    EXPECT_TRUE(other.is_other_version);
    EXPECT_EQ(other.problem, "has format 2, this version reads format 1");
}

}  // namespace
}  // namespace upkeep::capture
