// What capture costs an application with SQLite: the same prepared statements on one connection, in
// short slices with capture off and on by turns; the median of the ratios of neighbours. The clock
// is the thread's CPU time, so that what else the machine does matters little.
// Usage: cost PATH_OF_MODULE [ROUNDS [SCENARIO]]
// SPDX-License-Identifier: PostgreSQL
#include <sqlite3.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

[[noreturn]] void Fail(sqlite3* db, const char* what) {
    fprintf(stderr, "%s: %s\n", what, db != nullptr ? sqlite3_errmsg(db) : "");
    exit(1);
}

void Run(sqlite3* db, const std::string& sql) {
    if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
        Fail(db, sql.c_str());
    }
}

double CpuNs() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

constexpr int kRows = 100'000;

sqlite3* Open(const std::string& file, const char* module) {
    sqlite3* db = nullptr;
    if (sqlite3_open(file.c_str(), &db) != SQLITE_OK) {
        Fail(db, "open");
    }
    sqlite3_enable_load_extension(db, 1);
    char* why = nullptr;
    if (sqlite3_load_extension(db, module, nullptr, &why) != SQLITE_OK) {
        Fail(nullptr, why);
    }
    Run(db, "PRAGMA journal_mode = wal");
    Run(db, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, score INTEGER)");
    Run(db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                std::to_string(kRows) + ") INSERT INTO t SELECT i, 'name ' || i, i % 97 FROM n");
    return db;
}

struct Scenario {
    const char* name;
    const char* sql;
    bool is_file;
    int slice;  // executions
    double gate;
    double goal;
};

/// CPU nanoseconds an execution, over one slice.
double Slice(sqlite3* db, sqlite3_stmt* stmt, int executions, unsigned* seed) {
    const double start = CpuNs();
    for (int i = 0; i < executions; ++i) {
        *seed = *seed * 1664525U + 1013904223U;
        sqlite3_bind_int64(stmt, 1, 1 + *seed % (kRows - 200));
        int code = SQLITE_ROW;
        while (code == SQLITE_ROW) {
            code = sqlite3_step(stmt);
        }
        if (code != SQLITE_DONE) {
            Fail(db, "step");
        }
        sqlite3_reset(stmt);
    }
    return (CpuNs() - start) / executions;
}

double Median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void Measure(const Scenario& scenario, const char* module, const std::string& folder, int rounds) {
    sqlite3* db = Open(scenario.is_file ? folder + "/cost.db" : ":memory:", module);
    sqlite3_stmt* stmt = nullptr;
    if (sqlite3_prepare_v2(db, scenario.sql, -1, &stmt, nullptr) != SQLITE_OK) {
        Fail(db, scenario.sql);
    }
    unsigned seed = 1;
    std::vector<double> off;
    std::vector<double> on;
    std::vector<double> ratios;
    for (int round = -2; round < rounds; ++round) {  // two to warm up
        Run(db, "SELECT upkeep_capture(0)");
        const double without = Slice(db, stmt, scenario.slice, &seed);
        Run(db, "SELECT upkeep_capture(1)");
        const double with = Slice(db, stmt, scenario.slice, &seed);
        if (round >= 0) {
            off.push_back(without);
            on.push_back(with);
            ratios.push_back(with / without);
        }
    }
    std::string wanted;
    if (scenario.gate > 0) {
        char text[64];
        snprintf(text, sizeof text, " (at most %.2f, goal %.2f)", scenario.gate, scenario.goal);
        wanted = text;
    }
    printf("%-26s off %7.0f ns, on %7.0f ns, ratio %.3f%s\n", scenario.name, Median(off),
           Median(on), Median(ratios), wanted.c_str());
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    if (scenario.is_file) {
        for (const char* end : {"", "-wal", "-shm", "-upkeep", "-upkeep-wal", "-upkeep-shm"}) {
            unlink((folder + "/cost.db" + end).c_str());
        }
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: %s MODULE [ROUNDS [SCENARIO]]\n", arguments[0]);
        return 2;
    }
    const int rounds = count > 2 ? atoi(arguments[2]) : 61;
    std::string folder = "/tmp/upkeep-cost.XXXXXX";
    if (mkdtemp(folder.data()) == nullptr) {
        Fail(nullptr, "mkdtemp");
    }
    constexpr const char* kPoint = "SELECT name, score FROM t WHERE id = ?";
    constexpr const char* kRange = "SELECT name FROM t WHERE id BETWEEN ?1 AND ?1 + 99";
    constexpr Scenario kScenarios[] = {
        {"in-memory point SELECT", kPoint, false, 20'000, 1.30, 1.20},
        {"WAL file point SELECT", kPoint, true, 8'000, 1.10, 1.05},
        {"in-memory 100-row SELECT", kRange, false, 2'000, 0, 0},
    };
    for (const Scenario& scenario : kScenarios) {
        if (count > 3 && strstr(scenario.name, arguments[3]) == nullptr) {
            continue;
        }
        Measure(scenario, arguments[1], folder, rounds);
    }
    rmdir(folder.c_str());
    return 0;
}
