// Many threads, and many processes, on one store that is far too small: counts may get lost to
// evictions and resets, but whatever is there must be its own statement's.
// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "unit/capture/store_block.h"

namespace upkeep::capture {
namespace {

constexpr int kWorkers = 6;

/// `runs` executions of statements drawn with a bias to low numbers.
void Work(Store store, unsigned seed, int runs, int shapes) {
    StatementCache cache;
    std::mt19937 random(seed);
    for (int i = 0; i < runs; ++i) {
        const auto drawn = static_cast<int>(random() % static_cast<unsigned>(shapes));
        RunOnce(store, cache, drawn % (1 + drawn / 3));
        if (i % 64 == 0) {
            SlowStatement slow;
            slow.fields.ended_us = 1 + drawn;
            slow.fields.rows = static_cast<uint64_t>(drawn);
            slow.query = std::string(40 + drawn % 900, static_cast<char>('a' + drawn % 26));
            store.slow().Add(slow);
            store.endpoints().IdOf("route " + std::to_string(drawn % 20));
        }
    }
}

/// Reads everything once; the number of things that are not as they must be.
int CountMixtures(Store& store) {
    int wrong = 0;
    for (const StatementSnapshot& statement : store.statements().Snapshots()) {
        const Execution own = ExecutionOf(statement.key.fingerprint);
        const bool is_own = statement.totals.max_ns <= own.duration_ns &&
                            statement.totals.rows % own.rows == 0 &&
                            statement.totals.total_ns % own.duration_ns == 0 &&
                            statement.tables == "t" + std::to_string(statement.key.fingerprint % 5);
        wrong += is_own ? 0 : 1;
        const std::optional<std::string> text =
            store.texts().Read(statement.key.database, statement.key.fingerprint);
        wrong += !text || *text == "select " + std::to_string(statement.key.fingerprint) ? 0 : 1;
    }
    for (const SlowStatement& slow : store.slow().Read()) {
        const auto drawn = static_cast<int>(slow.fields.rows);
        wrong +=
            slow.fields.ended_us == 1 + drawn &&
                    slow.query == std::string(40 + drawn % 900, static_cast<char>('a' + drawn % 26))
                ? 0
                : 1;
    }
    return wrong;
}

void ExpectAllOwn(Store& store) {
    const std::vector<StatementSnapshot> all = store.statements().Snapshots();
    EXPECT_FALSE(all.empty());
    for (const StatementSnapshot& statement : all) {
        EXPECT_TRUE(IsOwn(statement)) << statement.key.fingerprint;
    }
    EXPECT_EQ(CountMixtures(store), 0);
}

TEST(StoreConcurrencyTest, NothingIsLostWhileThereIsRoom) {
    StoreLimits limits = SmallLimits(400);
    limits.text_bytes = 1 << 20;
    StoreBlock store(limits);
    constexpr int kRuns = 50000;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kWorkers; ++i) {
        threads.emplace_back(Work, *store, i, kRuns, 300);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    ExpectAllOwn(*store);
    uint64_t calls = 0;
    uint64_t in_buckets = 0;
    for (const StatementSnapshot& statement : store->statements().Snapshots()) {
        calls += statement.totals.calls;
        for (const BucketCount& entry : statement.buckets) {
            in_buckets += entry.count;
        }
    }
    EXPECT_EQ(calls, uint64_t{kWorkers} * kRuns);
    EXPECT_EQ(in_buckets, calls);
    EXPECT_EQ(store->Status().evictions, 0U);
}

TEST(StoreConcurrencyTest, EvictionStormWithReadersAndResetsNeverMixesStatements) {
    StoreLimits limits = SmallLimits(32);
    limits.text_bytes = 4096;
    StoreBlock store(limits);
    std::atomic<bool> done = false;
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kWorkers; ++i) {
        threads.emplace_back(Work, *store, i, 60000, 2000);
    }
    std::thread reader([&] {
        Store view(store.memory());
        while (!done) {
            wrong += CountMixtures(view);
        }
    });
    std::thread resetter([&] {
        while (!done) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
            store->Reset(9);
        }
    });
    for (std::thread& thread : threads) {
        thread.join();
    }
    done = true;
    reader.join();
    resetter.join();
    EXPECT_EQ(wrong, 0);
    StatementCache cache;
    RunOnce(*store, cache, 1);
    ExpectAllOwn(*store);
    EXPECT_GT(store->Status().evictions, 1000U);
    // Nothing leaked: after a reset every record, page and chunk is to be had again.
    store->Reset(10);
    EXPECT_EQ(store->Status().text_bytes_used, 0U);
    const uint64_t evictions = store->Status().evictions;
    for (int64_t i = 0; i < 32; ++i) {
        store->RecordNew(cache, KeyOf(i), {}, ExecutionOf(i));
    }
    EXPECT_EQ(store->Status().evictions, evictions);
    EXPECT_EQ(store->statements().Snapshots().size(), 32U);
}

TEST(StoreConcurrencyTest, WhatIsDrainedIsNeverLostOrThereTwice) {
    StoreBlock store(SmallLimits(200));
    constexpr int kRuns = 20000;
    constexpr int kSlowRuns = kRuns / 64 + 1;
    std::atomic<int> working{kWorkers};
    std::vector<std::thread> workers;
    for (int w = 0; w < kWorkers; ++w) {
        workers.emplace_back([&, w] {
            Work(*store, static_cast<unsigned>(w), kRuns, 20);
            --working;
        });
    }
    StatementTotals sum;
    uint64_t durations = 0;
    size_t slow = 0;
    const auto drain = [&] {
        for (const StatementSnapshot& taken : store->statements().Drain(5)) {
            sum.calls += taken.totals.calls;
            sum.rows += taken.totals.rows;
            sum.total_ns += taken.totals.total_ns;
            for (const BucketCount& entry : taken.buckets) {
                durations += entry.count;
            }
        }
        slow += store->slow().Take(0).size();
        EXPECT_TRUE(store->statements().Drain(6).empty());
        EXPECT_TRUE(store->slow().Take(6).empty());
    };
    while (working != 0) {
        drain();
    }
    for (std::thread& worker : workers) {
        worker.join();
    }
    drain();
    EXPECT_EQ(sum.calls, uint64_t{kWorkers} * kRuns);
    EXPECT_EQ(durations, sum.calls);
    EXPECT_EQ(sum.rows * 1000, sum.total_ns * 7);
    EXPECT_LE(slow, size_t{kWorkers} * kSlowRuns);
    EXPECT_GT(slow, 0U);
    EXPECT_TRUE(store->statements().Snapshots().empty());
    EXPECT_TRUE(store->slow().Read().empty());
    StatementCache cache;
    RunOnce(*store, cache, 1);
    EXPECT_EQ(store->statements().Snapshots().size(), 1U);
}

TEST(StoreConcurrencyTest, ProcessesShareOneBlockAtDifferentAddresses) {
    StoreLimits limits = SmallLimits(64);
    const size_t size = Store::BytesNeeded(limits);
    const int file = memfd_create("store", 0);
    ASSERT_GE(file, 0);
    ASSERT_EQ(ftruncate(file, static_cast<off_t>(size)), 0);
    const auto map = [&] {
        return mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    };
    void* block = map();
    ASSERT_NE(block, MAP_FAILED);
    Store store = Store::Format(block, limits, 1);
    std::vector<pid_t> children;
    for (unsigned i = 0; i < 4; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            Work(Store(map()), i, 50000, 1000);  // maps it once more, elsewhere
            _exit(0);
        }
        children.push_back(child);
    }
    int wrong = 0;
    for (int i = 0; i < 50; ++i) {
        wrong += CountMixtures(store);
    }
    for (const pid_t child : children) {
        int status = -1;
        waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(wrong, 0);
    ExpectAllOwn(store);
    munmap(block, size);
    close(file);
}

}  // namespace
}  // namespace upkeep::capture
