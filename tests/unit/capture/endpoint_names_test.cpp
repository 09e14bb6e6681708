// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/endpoint_names.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "unit/capture/store_block.h"
#include "upkeep/capture/endpoint_cache.h"

namespace upkeep::capture {
namespace {

std::string Rubbish(int number) {
    return "/users/" + std::to_string(number);
}

void FillWithRubbish(EndpointNames& names) {
    for (int i = 0; names.Refused() == 0; ++i) {
        names.IdOf(Rubbish(i));
    }
}

TEST(EndpointNamesTest, ARouteThatIsInUseGetsInAfterTheRubbish) {
    StoreBlock store(SmallLimits(10));
    EndpointNames& names = store->endpoints();
    FillWithRubbish(names);
    const uint32_t rubbish = names.IdOf(Rubbish(0));
    ASSERT_EQ(names.NameOf(rubbish), Rubbish(0));
    int taggings = 0;
    for (; names.IdOf("GET /users/:id") == EndpointNames::kOther; ++taggings) {
        ASSERT_LT(taggings, 1000);
    }
    EXPECT_GT(taggings, 100) << "one request with many statements is not yet a route in use";
    const uint32_t id = names.IdOf("GET /users/:id");
    EXPECT_EQ(names.NameOf(id), "GET /users/:id");
    for (int i = 0; i < 100000; ++i) {
        EXPECT_EQ(names.IdOf("once " + std::to_string(i)), EndpointNames::kOther);
    }
    EXPECT_EQ(names.NameOf(id), "GET /users/:id") << "what is met once pushes nothing out";
}

TEST(EndpointNamesTest, WhatIsUsedStaysAndWhatIsNotGivesWay) {
    StoreBlock store(SmallLimits(10));
    EndpointNames& names = store->endpoints();
    const uint32_t used = names.IdOf("used");
    FillWithRubbish(names);
    std::set<std::string> entered;
    for (int i = 0; i < 20000; ++i) {
        const std::string name = "route " + std::to_string(i / 1000);
        const uint32_t id = names.IdOf(name);
        if (id != EndpointNames::kOther) {
            EXPECT_EQ(names.NameOf(id), name);
            entered.insert(name);
        }
        names.Touch(used);
    }
    EXPECT_EQ(entered.size(), 20U);
    EXPECT_EQ(names.IdOf("used"), used);
    EXPECT_TRUE(names.IsCurrent(used));
}

TEST(EndpointNamesTest, AnIdNeverShowsAnothersName) {
    StoreBlock store(SmallLimits(10));
    EndpointNames& names = store->endpoints();
    std::map<uint32_t, std::string> given;
    for (int i = 0; i < 300000; ++i) {
        const std::string name = "route " + std::to_string(i / 300);
        const uint32_t id = names.IdOf(name);
        if (id != EndpointNames::kOther) {
            ASSERT_EQ(given.try_emplace(id, name).first->second, name);
        }
    }
    EXPECT_GT(given.size(), 500U);
    int current = 0;
    for (const auto& [id, name] : given) {
        const std::string shown = names.NameOf(id);
        EXPECT_TRUE(shown == name || shown == kOtherName);
        EXPECT_EQ(shown == name, names.IsCurrent(id));
        current += names.IsCurrent(id) ? 1 : 0;
    }
    EXPECT_EQ(current, 8);
    EXPECT_FALSE(names.IsCurrent(EndpointNames::kOther));
    EXPECT_TRUE(names.IsCurrent(EndpointNames::kNone));
}

TEST(EndpointNamesTest, AResetForgetsTheNames) {
    StoreBlock store(SmallLimits(10));
    EndpointNames& names = store->endpoints();
    FillWithRubbish(names);
    const uint32_t before = names.IdOf(Rubbish(1));
    store->Reset(2);
    EXPECT_EQ(names.NameOf(before), kOtherName);
    EXPECT_EQ(names.NameOf(names.IdOf("real")), "real");
    EXPECT_NE(names.IdOf(Rubbish(1)), before);
}

TEST(EndpointNamesTest, TheLastGenerationOfARecordIsFinal) {
    StoreBlock store(SmallLimits(10));
    EndpointNames& names = store->endpoints();
    const uint32_t bits = 4;  // of 8 records
    const uint64_t last = ((UINT32_MAX - EndpointNames::kFirst) >> bits) - 1;
    for (uint32_t i = 0; i < names.capacity(); ++i) {
        names.At(i).head.state = last << 32;
    }
    const uint32_t id = names.IdOf("final");
    EXPECT_EQ(names.NameOf(id), "final");
    EXPECT_EQ(names.IdOf("final"), id);
    store->Reset(2);
    const uint32_t again = names.IdOf("final");
    EXPECT_NE(again, id);
    EXPECT_EQ(names.NameOf(again), "final");
    EXPECT_EQ(names.NameOf(id), kOtherName);
    for (int i = 0; i < 5000; ++i) {
        names.IdOf("route " + std::to_string(i / 300));
    }
    EXPECT_EQ(names.NameOf(again), "final") << "full of names that are final";
    for (uint32_t i = 0; i < names.capacity(); ++i) {
        EXPECT_LE(names.At(i).head.state >> 32, last);
    }
}

TEST(EndpointNamesTest, BeyondTheLastGenerationThereAreNoIds) {
    StoreBlock store(SmallLimits(10));
    EndpointNames& names = store->endpoints();
    for (uint32_t i = 0; i < names.capacity(); ++i) {
        names.At(i).head.state = uint64_t{UINT32_MAX - 1} << 32;
    }
    EXPECT_EQ(names.IdOf("late"), EndpointNames::kOther);
    EXPECT_EQ(names.IdOf("late"), EndpointNames::kOther);
    EXPECT_EQ(names.Refused(), 2U);
}

TEST(EndpointNamesTest, KeepsNamesThatCanBeShown) {
    StoreBlock store(SmallLimits(10));
    EndpointNames& names = store->endpoints();
    EXPECT_EQ(names.NameOf(names.IdOf("a\nb\x7f")), "a b ");
    EXPECT_EQ(names.NameOf(names.IdOf(std::string(127, 'a') + "\xC3\xA9")), std::string(127, 'a'));
    EXPECT_EQ(names.IdOf("other"), EndpointNames::kOther);
}

TEST(EndpointNamesTest, RowsOfOneNameBecomeOne) {
    StoreBlock store(SmallLimits(10));
    EndpointNames& names = store->endpoints();
    StatementCache cache;
    const auto run = [&](uint32_t endpoint) {
        StatementKey key = KeyOf(1);
        key.endpoint = endpoint;
        store->RecordNew(cache, key, {.operation = Operation::kSelect, .tables = "t1"},
                         ExecutionOf(1));
    };
    const uint32_t gone = names.IdOf("gone");
    const uint32_t gone_too = names.IdOf("gone too");
    run(gone);
    run(gone_too);
    names.DoomAll();
    run(EndpointNames::kOther);
    run(names.IdOf("here"));
    run(EndpointNames::kNone);
    EXPECT_EQ(store->statements().Snapshots().size(), 5U);
    std::map<std::string, uint64_t> calls;
    for (const StatementSnapshot& one : store->Statements()) {
        EXPECT_TRUE(IsOwn(one));
        EXPECT_TRUE(calls.try_emplace(names.NameOf(one.key.endpoint), one.totals.calls).second);
    }
    EXPECT_EQ(calls, (std::map<std::string, uint64_t>{{"", 1}, {"here", 1}, {"other", 3}}));
}

TEST(EndpointNamesTest, ThreadsAgreeWhileNamesComeAndGo) {
    StoreBlock store(SmallLimits(64));
    std::atomic<int> wrong = 0;
    std::atomic<bool> done = false;
    std::vector<std::thread> threads;
    for (int t = 0; t < 6; ++t) {
        threads.emplace_back([&, t] {
            EndpointNames names = Store(store.memory()).endpoints();
            for (int i = 0; i < 60000; ++i) {
                // Each name is in use for a while, by all of them; in between come rare ones.
                const std::string name = i % 5 == 0 ? "rare " + std::to_string(t * 60000 + i)
                                                    : "route " + std::to_string(i / 900 % 40);
                const uint32_t id = names.IdOf(name);
                const std::string shown = names.NameOf(id);
                wrong += shown == name || shown == kOtherName ? 0 : 1;
            }
        });
    }
    std::thread resetter([&] {
        while (!done) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            store->endpoints().DoomAll();
        }
    });
    for (std::thread& thread : threads) {
        thread.join();
    }
    done = true;
    resetter.join();
    EXPECT_EQ(wrong, 0);
    store->endpoints().DoomAll();
    std::set<uint32_t> ids;
    for (int i = 0; i < 8; ++i) {
        ids.insert(store->endpoints().IdOf("after " + std::to_string(i)));
    }
    EXPECT_EQ(ids.size(), 8U) << "no record was lost on the way";
    EXPECT_EQ(ids.count(EndpointNames::kOther), 0U);
}

TEST(EndpointCacheTest, TellsWhatTheCommentsTell) {
    StoreBlock store(SmallLimits(10));
    EndpointNames& names = store->endpoints();
    EndpointCache cache;
    const auto told = [&](std::string_view sql) {
        return names.NameOf(cache.IdOf(names, sql, SqlDialect::kPostgres));
    };
    for (int i = 0; i < 200; ++i) {
        EXPECT_EQ(told("SELECT 1 /*route='a'*/"), "a");
        EXPECT_EQ(told("SELECT 2 /*route='a'*/;"), "a");
        EXPECT_EQ(told("/*controller:c,action:b*/ SELECT 1 /* words */"), "c#b");
        EXPECT_EQ(told("SELECT 1"), "");
        EXPECT_EQ(told("SELECT 1 /* words */"), "");
        EXPECT_EQ(told("SELECT 1 /*route='" + std::string(300, 'x') + "'*/"),
                  std::string(128, 'x'));
    }
    names.DoomAll();
    EXPECT_EQ(told("SELECT 1 /*route='a'*/"), "a") << "asked anew";
    for (int i = 0; i < 1000; ++i) {
        told("SELECT 1 /*route='rubbish " + std::to_string(i) + "'*/");
    }
    EXPECT_EQ(told("SELECT 1 /*route='a'*/"), "a");
    EXPECT_EQ(told("SELECT 1 /*route='rubbish 999'*/"), "other");
}

}  // namespace
}  // namespace upkeep::capture
