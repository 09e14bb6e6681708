// Sixteen threads open, run, read and close, on shared and on own connections, while a thread of
// the module writes state files: for ThreadSanitizer, and for the sums. After that the same with
// resets, which leave nothing to add up; then transactions that are left open for a moment, under
// the reaper and under calls that reap: none may be half there.
//   threads_test MODULE [SECONDS]; ends with `N passed, N failed`
// SPDX-License-Identifier: PostgreSQL
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int kThreads = 16;
std::atomic<int64_t> selects{0};
std::atomic<int> failures{0};

void Fail(const std::string& what, sqlite3* db) {
    ++failures;
    fprintf(stderr, "%s: %s\n", what.c_str(), db != nullptr ? sqlite3_errmsg(db) : "");
}

void Run(sqlite3* db, const std::string& sql, bool may_be_busy = false) {
    const int code = sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK && !(may_be_busy && (code == SQLITE_BUSY || code == SQLITE_ERROR))) {
        Fail(sql, db);
    }
}

sqlite3* Open(const std::string& path) {
    sqlite3* db = nullptr;
    if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) {
        Fail("open", db);
    }
    sqlite3_busy_timeout(db, 20000);
    return db;
}

int64_t Number(sqlite3* db, const char* sql) {
    sqlite3_stmt* stmt = nullptr;
    int64_t number = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, nullptr) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        number = sqlite3_column_int64(stmt, 0);
    } else {
        Fail(sql, db);
    }
    sqlite3_finalize(stmt);
    return number;
}

struct Phase {
    std::chrono::steady_clock::time_point end;
    bool resets = false;
};

void Work(const std::string& path, sqlite3* shared, int number, const Phase& phase) {
    const std::string read = "SELECT * FROM upkeep_";
    for (int round = 0; std::chrono::steady_clock::now() < phase.end; ++round) {
        sqlite3* db = Open(path);
        for (int i = 0; i < 20; ++i) {
            Run(db, "SELECT v FROM t WHERE id = " + std::to_string(i));
            Run(shared, "SELECT v FROM t WHERE id = " + std::to_string(number));
            selects += 2;
        }
        Run(db, "SELECT 1 AS shape" + std::to_string((number * 1000 + round) % 3000));
        // The module is loaded into the shared connection only.
        switch ((round + number) % 8) {
            case 0:
                Run(shared, read + "statements", true);
                break;
            case 1:
                Run(shared, read + "indexes", true);
                break;
            case 2:
                Run(shared, "SELECT upkeep_save()", true);
                break;
            case 3:
                Run(shared, read + "connections", true);
                break;
            case 4:
                Run(shared, "SELECT upkeep_set('slow_threshold', " +
                                std::to_string(round % 2 == 0 ? 0 : 1000) + ")");
                break;
            case 5:
                Run(shared, "SELECT upkeep_set_endpoint('e" + std::to_string(number) + "')");
                break;
            case 6:
                Run(shared, read + "slow_statements", true);
                break;
            default:
                Run(shared,
                    phase.resets ? "SELECT upkeep_reset_statements()" : read + "capabilities",
                    true);
                break;
        }
        if (sqlite3_close(db) != SQLITE_OK) {
            Fail("close", db);
        }
    }
}

void RunThreads(const std::string& path, sqlite3* shared, std::chrono::seconds time, bool resets) {
    const Phase phase{std::chrono::steady_clock::now() + time, resets};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back(Work, path, shared, i, phase);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

// --- transactions under the reaper ---------------------------------------------------------------

std::atomic<int64_t> committed{0};
std::atomic<int64_t> told{0};

/// One transaction of two rows; true: committed, false: ended by the reaper.
bool WritePair(sqlite3* db, int64_t key, std::chrono::microseconds pause) {
    const std::string insert = "INSERT INTO pairs VALUES (" + std::to_string(key) + ")";
    for (const std::string& sql :
         {std::string("BEGIN IMMEDIATE"), insert, insert, std::string("COMMIT")}) {
        const int code = sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr);
        if (code == SQLITE_INTERRUPT) {
            ++told;
            Run(db, "ROLLBACK");
            return false;
        }
        if (code != SQLITE_OK) {
            Fail(sql, db);
            return false;
        }
        std::this_thread::sleep_for(pause);
    }
    return true;
}

void WritePairs(const std::string& path, int number, std::chrono::steady_clock::time_point end) {
    unsigned chance = static_cast<unsigned>(number) + 1;
    for (int64_t round = 0; std::chrono::steady_clock::now() < end; ++round) {
        sqlite3* db = Open(path);
        for (int64_t i = 0; i < 10 && std::chrono::steady_clock::now() < end; ++i) {
            chance = chance * 1103515245 + 12345;
            const auto pause = std::chrono::microseconds((chance >> 16) % 8 == 0 ? 12000 : 100);
            committed += WritePair(db, (number * 1000000LL + round) * 10 + i, pause) ? 1 : 0;
        }
        sqlite3_close(db);
    }
}

void RunReaped(const std::string& path, sqlite3* shared, std::chrono::seconds time) {
    Run(shared, "CREATE TABLE pairs(x)");
    Run(shared,
        "INSERT INTO upkeep_reap_rules (name, match_state, idle_for)"
        " VALUES ('pairs', 'idle in transaction', 5)");
    Run(shared, "SELECT upkeep_set('reaper_interval', 10)");
    Run(shared, "SELECT upkeep_set('reaper', 'on')");
    const auto end = std::chrono::steady_clock::now() + time;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back(WritePairs, path, i, end);
    }
    while (std::chrono::steady_clock::now() < end) {
        Run(shared,
            "SELECT * FROM upkeep_reap_sessions WHERE match_state = 'idle in transaction'"
            " AND idle_for_ms = 5 AND dry_run = 0");
        Run(shared, "SELECT * FROM upkeep_connections", true);
        Run(shared, "SELECT * FROM upkeep_lock_tree", true);
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    Run(shared, "SELECT upkeep_set('reaper', 'off')");
    const int64_t whole =
        Number(shared, "SELECT count(*) FROM (SELECT x FROM pairs GROUP BY x HAVING count(*) = 2)");
    const int64_t any = Number(shared, "SELECT count(DISTINCT x) FROM pairs");
    if (whole != committed || any != whole) {
        Fail(std::to_string(any) + " written, " + std::to_string(whole) + " whole, " +
                 std::to_string(committed.load()) + " committed",
             nullptr);
    }
    if (told == 0) {
        Fail("the reaper ended nothing", nullptr);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: threads_test MODULE [SECONDS]\n");
        return 2;
    }
    char folder[] = "/tmp/upkeep_threads_XXXXXX";
    if (mkdtemp(folder) == nullptr) {
        return 2;
    }
    const std::string path = std::string(folder) + "/app.db";
    sqlite3* db = Open(path);
    sqlite3_enable_load_extension(db, 1);
    char* error = nullptr;
    if (sqlite3_load_extension(db, argv[1], nullptr, &error) != SQLITE_OK) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    Run(db, "PRAGMA journal_mode = WAL");
    Run(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE INDEX tv ON t(v)");
    Run(db, "SELECT upkeep_capture(1)");
    Run(db, "SELECT upkeep_set('flush_interval', 5)");
    const auto third = std::chrono::seconds((argc > 2 ? atoi(argv[2]) : 6) / 3);
    RunThreads(path, db, third, /*resets=*/false);
    Run(db, "SELECT upkeep_set('flush_interval', 0)");
    const int64_t counted =
        Number(db, "SELECT sum(calls) FROM upkeep_statements WHERE query LIKE 'select v%'");
    if (counted != selects) {
        Fail("counted " + std::to_string(counted) + " of " + std::to_string(selects), nullptr);
    }
    Run(db, "SELECT upkeep_set('flush_interval', 5)");
    RunThreads(path, db, third, /*resets=*/true);
    RunReaped(path, db, third);
    Run(db, "SELECT upkeep_set('flush_interval', 0)");
    sqlite3_close(db);
    const std::string remove = std::string("rm -r ") + folder;
    if (system(remove.c_str()) != 0) {
        return 2;
    }
    printf("%lld selects on %d threads\n", static_cast<long long>(selects), kThreads);
    printf("%lld transactions whole, %lld ended, none half\n", static_cast<long long>(committed),
           static_cast<long long>(told));
    printf("%d passed, %d failed\n", failures == 0 ? 1 : 0, failures.load());
    return failures == 0 ? 0 : 1;
}
