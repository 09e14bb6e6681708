// Settings advice: each formula by hand, what is missing says so, bad arguments; the machine's
// files. SPDX-License-Identifier: PostgreSQL
#include "upkeep/health/settings_advice.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "unit/health/rows.h"
#include "upkeep/health/machine.h"

namespace upkeep::health {
namespace {

enum Columns { kName, kCurrent, kAdvised, kUnit, kFormula, kEvidence, kRestart, kConfidence, kSet };

constexpr int64_t kGiB = int64_t{1} << 30;

SettingsInput Server() {
    SettingsInput input;
    input.ram_bytes = 16 * kGiB;
    input.ram_source = "given";
    input.cpus = 8;
    input.cpu_source = "given";
    input.max_connections = 100;
    input.current["shared_buffers"] = {"16384", "8kB", true};
    input.current["log_statement"] = {"none", "", false};
    input.current["log_min_duration_statement"] = {"-1", "ms", false};
    return input;
}

std::string Cell(const SettingsInput& input, const std::string& name, Columns column) {
    Collected rows;
    AdviseSettings(input, rows);
    const int at = rows.Find(kName, name);
    return at < 0 ? "no row" : rows.Text(static_cast<size_t>(at), column);
}

TEST(AdviseSettings, MemoryOfAServer) {
    const SettingsInput server = Server();
    EXPECT_EQ(Cell(server, "shared_buffers", kAdvised), "4096");
    EXPECT_EQ(Cell(server, "shared_buffers", kCurrent), "128");
    EXPECT_EQ(Cell(server, "shared_buffers", kUnit), "MB");
    EXPECT_EQ(Cell(server, "shared_buffers", kRestart), "true");
    EXPECT_EQ(Cell(server, "shared_buffers", kSet), "ALTER SYSTEM SET shared_buffers = '4096MB'");
    EXPECT_EQ(Cell(server, "effective_cache_size", kAdvised), "12288");
    EXPECT_EQ(Cell(server, "work_mem", kAdvised), "20");  // 4 GB / 200
    EXPECT_EQ(Cell(server, "maintenance_work_mem", kAdvised), "1024");
    EXPECT_EQ(Cell(server, "max_parallel_workers_per_gather", kAdvised), "2");
}

TEST(AdviseSettings, WorkloadAndStorageChangeThem) {
    SettingsInput server = Server();
    server.workload = "web";
    EXPECT_EQ(Cell(server, "effective_cache_size", kAdvised), "8192");
    server.workload = "olap";
    EXPECT_EQ(Cell(server, "work_mem", kAdvised), "40");
    EXPECT_EQ(Cell(server, "jit", kAdvised), "on");
    EXPECT_EQ(Cell(server, "max_parallel_workers_per_gather", kAdvised), "4");
    EXPECT_EQ(Cell(server, "random_page_cost", kAdvised), "1.1");
    server.storage = "hdd";
    EXPECT_EQ(Cell(server, "random_page_cost", kAdvised), "4");
    server.max_connections = 100000;
    EXPECT_EQ(Cell(server, "work_mem", kAdvised), "4");  // not below the server's default
}

TEST(AdviseSettings, WhatIsNotKnownIsNotGuessed) {
    SettingsInput blind = Server();
    blind.ram_bytes.reset();
    blind.cpus.reset();
    for (const char* name : {"shared_buffers", "work_mem", "max_parallel_workers"}) {
        EXPECT_EQ(Cell(blind, name, kAdvised), "NULL") << name;
        EXPECT_EQ(Cell(blind, name, kSet), "NULL") << name;
        EXPECT_NE(Cell(blind, name, kEvidence).find("could not be detected: pass "),
                  std::string::npos);
    }
    EXPECT_EQ(Cell(blind, "log_lock_waits", kAdvised), "on");
}

TEST(AdviseSettings, NothingToSetWhereItIsSet) {
    SettingsInput server = Server();
    EXPECT_EQ(Cell(server, "log_statement", kSet), "NULL");
    EXPECT_EQ(Cell(server, "log_min_duration_statement", kCurrent), "-1");
    EXPECT_EQ(Cell(server, "log_min_duration_statement", kSet),
              "ALTER SYSTEM SET log_min_duration_statement = '1000ms'");
    server.current["log_min_duration_statement"].value = "1000";
    EXPECT_EQ(Cell(server, "log_min_duration_statement", kSet), "NULL");
}

TEST(AdviseSettings, TimeoutsGoToRolesNotToTheServer) {
    SettingsInput server = Server();
    EXPECT_EQ(Cell(server, "statement_timeout", kSet), "NULL");
    server.roles_sql = {"app", "\"Web\""};
    EXPECT_EQ(Cell(server, "statement_timeout", kSet),
              "ALTER ROLE app SET statement_timeout = '30000ms';\n"
              "ALTER ROLE \"Web\" SET statement_timeout = '30000ms'");
}

TEST(AdviseSettings, ConfidenceGrowsWithTheEvidence) {
    SettingsInput server = Server();
    EXPECT_EQ(Cell(server, "shared_buffers", kConfidence), "low");
    server.counters_age_s = 2 * 86400.0;
    server.evidence["shared_buffers"] = "99 % found";
    EXPECT_EQ(Cell(server, "shared_buffers", kConfidence), "medium");
    EXPECT_EQ(Cell(server, "shared_buffers", kEvidence), "RAM 16 GB (given); 99 % found");
}

TEST(AdviseSettings, SqliteHasPragmasOfItsOwn) {
    SettingsInput input = Server();
    input.host = Hosts::kSqlite;
    input.current = {{"journal_mode", {"delete", "", false}}, {"foreign_keys", {"on", "", false}}};
    input.database_bytes = 8 << 20;
    EXPECT_EQ(Cell(input, "shared_buffers", kAdvised), "no row");
    EXPECT_EQ(Cell(input, "journal_mode", kSet), "PRAGMA journal_mode = wal");
    EXPECT_EQ(Cell(input, "foreign_keys", kSet), "NULL");
    EXPECT_EQ(Cell(input, "cache_size", kAdvised), "-8192");
    EXPECT_EQ(Cell(input, "mmap_size", kAdvised), "16777216");
    EXPECT_EQ(Cell(input, "optimize", kSet), "PRAGMA optimize");
    input.database_bytes = 0;
    EXPECT_EQ(Cell(input, "mmap_size", kAdvised), "0");
}

Result<void> Take(std::vector<Value> values, SettingsInput* input) {
    return TakeSettingsArguments(Arguments(*FindCall("advise_settings"), std::move(values)), input);
}

TEST(TakeSettingsArguments, FillsInAndRefuses) {
    SettingsInput input = Server();
    input.ram_source = "/proc/meminfo";
    ASSERT_TRUE(
        Take({Value(), int64_t{2}, std::string("hdd"), std::string("web"), int64_t{10}}, &input)
            .ok());
    EXPECT_EQ(*input.ram_bytes, 16 * kGiB);
    EXPECT_EQ(input.ram_source, "/proc/meminfo");
    EXPECT_EQ(*input.cpus, 2);
    EXPECT_EQ(input.storage + input.workload, "hddweb");
    const auto refused = [](std::vector<Value> values) {
        SettingsInput unused;
        const Result<void> taken = Take(std::move(values), &unused);
        return taken.ok() ? std::string() : taken.error().message();
    };
    const std::string ssd = "ssd", oltp = "oltp";
    EXPECT_EQ(refused({int64_t{-1}, Value(), ssd, oltp, Value()}),
              "ram_bytes must be between 16777216 and 1125899906842624");
    EXPECT_EQ(refused({Value(), int64_t{0}, ssd, oltp, Value()}),
              "cpus must be between 1 and 65536");
    EXPECT_EQ(refused({Value(), Value(), ssd, oltp, int64_t{0}}),
              "max_connections must be between 1 and 262143");
    for (const char* word : {"tape", "", "ssd, san", ","}) {
        EXPECT_EQ(refused({Value(), Value(), std::string(word), oltp, Value()}),
                  "unknown storage \"" + std::string(word) + "\"");
    }
    EXPECT_EQ(refused({Value(), Value(), ssd, std::string("OLTP"), Value()}),
              "unknown workload \"OLTP\"");
}

Machine DetectFrom(std::map<std::string, std::string> files, int64_t online) {
    return DetectMachine([&](const std::string& path) { return files[path]; }, online);
}

TEST(DetectMachine, MeminfoAndLimits) {
    const std::string meminfo = "MemTotal:       24684092 kB\nMemFree: 1 kB\n";
    Machine machine = DetectFrom({{"/proc/meminfo", meminfo}}, 4);
    EXPECT_EQ(*machine.ram_bytes, 24684092LL * 1024);
    EXPECT_EQ(machine.ram_source, "/proc/meminfo");
    EXPECT_EQ(*machine.cpus, 4);
    machine = DetectFrom({{"/proc/meminfo", meminfo},
                          {"/proc/self/cgroup", "0::/system.slice/db.service\n"},
                          {"/sys/fs/cgroup/system.slice/db.service/memory.max", "1073741824\n"},
                          {"/sys/fs/cgroup/system.slice/db.service/cpu.max", "150000 100000\n"}},
                         4);
    EXPECT_EQ(*machine.ram_bytes, kGiB);
    EXPECT_EQ(machine.ram_source, "limit of the control group");
    EXPECT_EQ(*machine.cpus, 2);
}

TEST(DetectMachine, NumbersBeyondAllMemoryAreNotKnown) {
    EXPECT_FALSE(DetectFrom({{"/proc/meminfo", "MemTotal: 99999999999999999 kB\n"}}, 4).ram_bytes);
}

TEST(DetectMachine, NoLimitAndNoFiles) {
    const std::string meminfo = "MemTotal: 1024 kB\n";
    Machine machine = DetectFrom({{"/proc/meminfo", meminfo},
                                  {"/proc/self/cgroup", "0::/\n"},
                                  {"/sys/fs/cgroup/memory.max", "max\n"},
                                  {"/sys/fs/cgroup/cpu.max", "max 100000\n"}},
                                 4);
    EXPECT_EQ(*machine.ram_bytes, 1024 * 1024);
    EXPECT_EQ(*machine.cpus, 4);
    machine = DetectFrom({{"/proc/meminfo", meminfo},
                          {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"}},
                         4);
    EXPECT_EQ(machine.ram_source, "/proc/meminfo");
    machine = DetectFrom({}, -1);
    EXPECT_FALSE(machine.ram_bytes.has_value() || machine.cpus.has_value());
}

}  // namespace
}  // namespace upkeep::health
