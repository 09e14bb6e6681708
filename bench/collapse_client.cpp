// Many distinct statements against several servers in turns, for bench/collapse.sh. Two clients ask
// one server for a slice of time, then the next one, so that what else the machine does meets all
// of them alike. Connections stay open. Latency is that of the client; CPU is that of the backends.
// Usage: collapse_client SHAPES TEXT_BYTES SLICE_MS ROUNDS NAME=CONNINFO…     the first is the base
// SPDX-License-Identifier: PostgreSQL
#include <libpq-fe.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kClients = 2;
constexpr int kColumns = 15;
constexpr int kRows = 1000;

[[noreturn]] void Fail(const std::string& what) {
    fprintf(stderr, "collapse_client: %s\n", what.c_str());
    exit(1);
}

/// A point query without its key; bit i of `shape` chooses column i. Where a text is to have more
/// `bytes`, the columns come again under long names.
std::string QueryOf(uint32_t shape, size_t bytes) {
    std::string query = "SELECT ";
    do {
        for (int i = 0; i < kColumns; ++i) {
            if ((shape >> i & 1) != 0) {
                query += (query.size() > 7 ? ", c" : "c") + std::to_string(i);
                if (bytes > 0) {
                    query += " AS column_" + std::to_string(i) + "_" + std::string(50, 'x');
                }
            }
        }
    } while (query.size() < bytes);
    return query + " FROM wide WHERE id = ";
}

struct Client {
    PGconn* connection = nullptr;
    std::vector<uint32_t> latencies_ns;
};

struct Server {
    std::string name;
    Client clients[kClients];
    std::vector<double> rates;  // queries a second, one a slice
    uint64_t cpu_ns = 0;
    uint64_t queries = 0;
};

uint64_t CpuNs(PGconn* connection) {
    std::ifstream file("/proc/" + std::to_string(PQbackendPID(connection)) + "/schedstat");
    uint64_t ns = 0;
    file >> ns;
    return ns;
}

void Run(PGconn* connection, const std::string& query) {
    PGresult* result = PQexec(connection, query.c_str());
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        Fail(PQerrorMessage(connection));
    }
    PQclear(result);
}

void RunUntil(Client& client, const std::vector<std::string>& queries, Clock::time_point end,
              uint64_t seed) {
    std::mt19937_64 random(seed);
    Clock::time_point before = Clock::now();
    while (before < end) {
        const std::string& shape = queries[random() % queries.size()];
        Run(client.connection, shape + std::to_string(random() % kRows));
        const Clock::time_point after = Clock::now();
        client.latencies_ns.push_back(static_cast<uint32_t>((after - before).count()));
        before = after;
    }
}

void RunSlice(Server& server, const std::vector<std::string>& queries,
              std::chrono::milliseconds slice, uint64_t seed) {
    uint64_t cpu_ns = 0;
    size_t count = 0;
    for (Client& client : server.clients) {
        cpu_ns -= CpuNs(client.connection);
        count -= client.latencies_ns.size();
    }
    const Clock::time_point start = Clock::now();
    std::vector<std::thread> threads;
    for (int i = 0; i < kClients; ++i) {
        threads.emplace_back(
            [&, i] { RunUntil(server.clients[i], queries, start + slice, seed * kClients + i); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    for (Client& client : server.clients) {
        cpu_ns += CpuNs(client.connection);
        count += client.latencies_ns.size();
    }
    server.cpu_ns += cpu_ns;
    server.queries += count;
    server.rates.push_back(static_cast<double>(count) / seconds);
}

void Prepare(Server& server, const char* conninfo) {
    for (Client& client : server.clients) {
        client.connection = PQconnectdb(conninfo);
        if (PQstatus(client.connection) != CONNECTION_OK) {
            Fail(PQerrorMessage(client.connection));
        }
    }
    std::string columns = "id int PRIMARY KEY";
    std::string values = "g";
    for (int i = 0; i < kColumns; ++i) {
        columns += ", c" + std::to_string(i) + " int";
        values += ", g";
    }
    PGconn* connection = server.clients[0].connection;
    Run(connection, "DROP TABLE IF EXISTS wide");
    Run(connection, "CREATE TABLE wide (" + columns + ")");
    Run(connection, "INSERT INTO wide SELECT " + values + " FROM generate_series(0, " +
                        std::to_string(kRows - 1) + ") g");
    Run(connection, "VACUUM ANALYZE wide");
}

double Median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.empty() ? 0 : values[values.size() / 2];
}

void Report(const std::vector<Server>& servers) {
    printf("%-20s %9s %12s %6s %9s %9s %9s %9s %7s\n", "", "queries/s", "of the base", "", "p50 us",
           "p99 us", "p99.9 us", "max ms", "CPU us");
    for (const Server& server : servers) {
        std::vector<double> ratios;
        for (size_t i = 0; i < server.rates.size(); ++i) {  // against the base before and after
            const std::vector<double>& base = servers[0].rates;
            ratios.push_back(2 * server.rates[i] /
                             (base[i] + base[std::min(i + 1, base.size() - 1)]));
        }
        std::vector<uint32_t> all;
        for (const Client& client : server.clients) {
            all.insert(all.end(), client.latencies_ns.begin(), client.latencies_ns.end());
        }
        std::sort(all.begin(), all.end());
        const auto at = [&](double q) {
            return all[static_cast<size_t>(q * static_cast<double>(all.size() - 1))] / 1e3;
        };
        const double cpu_us =
            static_cast<double>(server.cpu_ns) / 1e3 / static_cast<double>(server.queries);
        printf("%-20s %9.0f %12.3f %6s %9.0f %9.0f %9.0f %9.1f %7.1f\n", server.name.c_str(),
               Median(server.rates), Median(ratios), "", at(0.5), at(0.99), at(0.999), at(1) / 1e3,
               cpu_us);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 6) {
        Fail("usage: collapse_client SHAPES TEXT_BYTES SLICE_MS ROUNDS NAME=CONNINFO...");
    }
    const auto shapes = static_cast<uint32_t>(atoi(argv[1]));
    const auto bytes = static_cast<size_t>(atoi(argv[2]));
    const std::chrono::milliseconds slice(atoi(argv[3]));
    const int rounds = atoi(argv[4]);
    std::vector<std::string> queries;
    for (uint32_t shape = 1; shape <= shapes; ++shape) {
        queries.push_back(QueryOf(shape, bytes));
    }
    std::vector<Server> servers(argc - 5);
    for (int i = 5; i < argc; ++i) {
        const std::string argument = argv[i];
        servers[i - 5].name = argument.substr(0, argument.find('='));
        Prepare(servers[i - 5], argument.c_str() + servers[i - 5].name.size() + 1);
    }
    for (int round = -2; round < rounds; ++round) {
        if (round == 0) {  // the first two fill caches and tables
            for (Server& server : servers) {
                server.rates.clear();
                server.cpu_ns = server.queries = 0;
                for (Client& client : server.clients) {
                    client.latencies_ns.clear();
                }
            }
        }
        for (Server& server : servers) {
            RunSlice(server, queries, slice, static_cast<uint64_t>(round + 2));
        }
    }
    Report(servers);
}
