// SPDX-License-Identifier: PostgreSQL
#include "upkeep/health/settings_advice.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>

#include "format.h"

namespace upkeep::health {

namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kGiB = int64_t{1} << 30;
// A day of counting before we call workload evidence anything but low.
constexpr double kEvidenceMinAgeS = 86400;

/// `advised` empty: it cannot be computed, `why` says what is missing.
struct Advised {
    std::string value;
    std::string why;
};

std::string Int(double number) {
    return std::to_string(static_cast<int64_t>(number));
}

double Ram(const SettingsInput& input) {
    return static_cast<double>(*input.ram_bytes);
}

bool Is(const SettingsInput& input, std::string_view workload) {
    return input.workload == workload;
}

std::string RamText(const SettingsInput& input) {
    return "RAM " + BytesText(Ram(input)) + " (" + input.ram_source + ")";
}

Advised OfRam(const SettingsInput& input, double bytes) {
    return {Int(bytes / static_cast<double>(kMiB)), RamText(input)};
}

Advised SharedBuffers(const SettingsInput& input) {
    return OfRam(input, Ram(input) / 4);
}

Advised EffectiveCacheSize(const SettingsInput& input) {
    const bool is_alone = Is(input, "oltp") || Is(input, "olap");
    return OfRam(input, Ram(input) * (is_alone ? 0.75 : 0.5));
}

Advised WorkMem(const SettingsInput& input) {
    if (!input.max_connections) {
        return {"", "max_connections is not known"};
    }
    const double share = Is(input, "olap") ? 0.5 : 0.25;
    const double each = Ram(input) * share / static_cast<double>(*input.max_connections * 2);
    const double bytes = std::max(each, 4.0 * static_cast<double>(kMiB));
    Advised advised = OfRam(input, bytes);
    advised.why += ", " + std::to_string(*input.max_connections) +
                   " connections; if each sorts and hashes once: " +
                   BytesText(bytes * 2 * static_cast<double>(*input.max_connections));
    return advised;
}

Advised MaintenanceWorkMem(const SettingsInput& input) {
    return OfRam(input, std::clamp(Ram(input) / 16, 64.0 * kMiB, 2.0 * kGiB));
}

Advised MaxWalSize(const SettingsInput& input) {
    const int64_t gib = Is(input, "olap") ? 16 : Is(input, "oltp") ? 4 : 2;
    return {std::to_string(gib * 1024), "workload " + input.workload};
}

Advised RandomPageCost(const SettingsInput& input) {
    return {input.storage == "hdd" ? "4" : "1.1", "storage " + input.storage};
}

Advised IoConcurrency(const SettingsInput& input) {
    const char* value = input.storage == "hdd" ? "2" : input.storage == "san" ? "300" : "200";
    return {value, "storage " + input.storage};
}

std::string CpuText(const SettingsInput& input) {
    return std::to_string(*input.cpus) + " processors (" + input.cpu_source + ")";
}

Advised WorkerProcesses(const SettingsInput& input) {
    return {std::to_string(std::max<int64_t>(8, *input.cpus)), CpuText(input)};
}

Advised ParallelWorkers(const SettingsInput& input) {
    return {std::to_string(*input.cpus), CpuText(input)};
}

Advised WorkersPerGather(const SettingsInput& input) {
    const int64_t half = *input.cpus / 2;
    return {std::to_string(Is(input, "olap") ? half : std::min<int64_t>(half, 2)), CpuText(input)};
}

Advised Jit(const SettingsInput& input) {
    return {Is(input, "olap") ? "on" : "off", "workload " + input.workload};
}

Advised CacheSize(const SettingsInput& input) {
    const double most = std::clamp(Ram(input) / 64, 2.0 * kMiB, 64.0 * kMiB);
    const double file = static_cast<double>(input.database_bytes.value_or(kGiB));
    const double bytes = std::clamp(file, 2.0 * kMiB, most);
    return {Int(-bytes / 1024), RamText(input) + ", file " + BytesText(file)};
}

Advised MmapSize(const SettingsInput& input) {
    const double file = static_cast<double>(input.database_bytes.value_or(0));
    if (file == 0) {
        return {"0", "the database is in memory or empty"};
    }
    const double bytes = std::min({Ram(input) / 4, std::ceil(file / kMiB) * 2 * kMiB, 2.0 * kGiB});
    return {Int(std::floor(bytes / kMiB) * kMiB), RamText(input) + ", file " + BytesText(file)};
}

enum class Needs : uint8_t { kNothing, kRam, kCpus };
enum class SetBy : uint8_t { kSystem, kRole, kPragma };

/// `fixed` or `compute`: where the value comes from.
struct AdvisedSetting {
    Hosts hosts;
    std::string_view name;
    std::string_view unit;  // of advised and current value; empty: none
    Needs needs;
    std::string_view fixed;
    Advised (*compute)(const SettingsInput&);
    std::string_view formula;
    std::string_view confidence;  // empty: low until the workload was counted for a day
    SetBy set_by;
};

constexpr Hosts kPg = Hosts::kPostgres;
constexpr Hosts kSl = Hosts::kSqlite;

constexpr AdvisedSetting kSettings[] = {
    {kPg, "shared_buffers", "MB", Needs::kRam, "", SharedBuffers, "25 % of RAM", "",
     SetBy::kSystem},
    {kPg, "effective_cache_size", "MB", Needs::kRam, "", EffectiveCacheSize,
     "75 % of RAM, 50 % where the application runs on the same machine (web, mixed)", "medium",
     SetBy::kSystem},
    {kPg, "work_mem", "MB", Needs::kRam, "", WorkMem,
     "25 % of RAM (olap: 50 %) / (max_connections x hash_mem_multiplier 2), at least 4 MB", "",
     SetBy::kSystem},
    {kPg, "maintenance_work_mem", "MB", Needs::kRam, "", MaintenanceWorkMem,
     "RAM / 16, between 64 MB and 2 GB", "medium", SetBy::kSystem},
    {kPg, "max_wal_size", "MB", Needs::kNothing, "", MaxWalSize,
     "oltp 4 GB, olap 16 GB, else 2 GB: checkpoints by time, not by volume", "", SetBy::kSystem},
    {kPg, "random_page_cost", "", Needs::kNothing, "", RandomPageCost, "ssd and san 1.1, hdd 4",
     "medium", SetBy::kSystem},
    {kPg, "effective_io_concurrency", "", Needs::kNothing, "", IoConcurrency,
     "ssd 200, san 300, hdd 2", "medium", SetBy::kSystem},
    {kPg, "max_worker_processes", "", Needs::kCpus, "", WorkerProcesses, "processors, at least 8",
     "medium", SetBy::kSystem},
    {kPg, "max_parallel_workers", "", Needs::kCpus, "", ParallelWorkers, "processors", "medium",
     SetBy::kSystem},
    {kPg, "max_parallel_workers_per_gather", "", Needs::kCpus, "", WorkersPerGather,
     "half of the processors, at most 2 unless olap", "medium", SetBy::kSystem},
    {kPg, "jit", "", Needs::kNothing, "", Jit,
     "on for olap: short statements lose more than they "
     "gain",
     "medium", SetBy::kSystem},
    {kPg, "log_min_duration_statement", "ms", Needs::kNothing, "1000", nullptr,
     "one second: every slower statement is logged", "high", SetBy::kSystem},
    {kPg, "log_min_duration_sample", "ms", Needs::kNothing, "200", nullptr,
     "a sample of what takes longer than 200 ms", "medium", SetBy::kSystem},
    {kPg, "log_statement_sample_rate", "", Needs::kNothing, "0.01", nullptr, "one in a hundred",
     "medium", SetBy::kSystem},
    {kPg, "log_parameter_max_length", "B", Needs::kNothing, "0", nullptr,
     "no bind values in the log: they are personal data", "high", SetBy::kSystem},
    {kPg, "log_line_prefix", "", Needs::kNothing, "%m [%p] %q%u@%d/%a %Q ", nullptr,
     "time, process, user, database, application and query id, to join the log with statistics",
     "high", SetBy::kSystem},
    {kPg, "log_statement", "", Needs::kNothing, "none", nullptr, "slow ones are logged, not all",
     "high", SetBy::kSystem},
    {kPg, "log_lock_waits", "", Needs::kNothing, "on", nullptr, "waits above deadlock_timeout",
     "high", SetBy::kSystem},
    {kPg, "track_io_timing", "", Needs::kNothing, "on", nullptr,
     "on where pg_test_timing shows a cheap clock", "medium", SetBy::kSystem},
    {kPg, "statement_timeout", "ms", Needs::kNothing, "30000", nullptr,
     "30 s for each application role, never for the server: dumps and index builds take longer",
     "medium", SetBy::kRole},
    {kPg, "lock_timeout", "ms", Needs::kNothing, "5000", nullptr, "5 s for each application role",
     "medium", SetBy::kRole},
    {kPg, "idle_in_transaction_session_timeout", "ms", Needs::kNothing, "60000", nullptr,
     "60 s for each application role", "medium", SetBy::kRole},

    {kSl, "journal_mode", "", Needs::kNothing, "wal", nullptr,
     "readers and the writer do not block each other; kept in the file", "high", SetBy::kPragma},
    {kSl, "synchronous", "", Needs::kNothing, "normal", nullptr,
     "normal is safe with WAL; a power failure may undo the last commits", "high", SetBy::kPragma},
    {kSl, "busy_timeout", "ms", Needs::kNothing, "5000", nullptr,
     "5 s on every connection: longer than the longest write transaction", "medium",
     SetBy::kPragma},
    {kSl, "foreign_keys", "", Needs::kNothing, "on", nullptr, "on every connection", "high",
     SetBy::kPragma},
    {kSl, "cache_size", "pages, or kB if negative", Needs::kRam, "", CacheSize,
     "RAM / 64 for each connection, between 2 and 64 MB, not more than the file", "medium",
     SetBy::kPragma},
    {kSl, "mmap_size", "bytes", Needs::kRam, "", MmapSize,
     "twice the file, at most RAM / 4 and 2 GB; not where the file may be cut by others", "low",
     SetBy::kPragma},
    {kSl, "wal_autocheckpoint", "pages", Needs::kNothing, "1000", nullptr, "the built-in value",
     "medium", SetBy::kPragma},
    {kSl, "journal_size_limit", "bytes", Needs::kNothing, "67108864", nullptr,
     "64 MB: the WAL is cut back after a checkpoint", "medium", SetBy::kPragma},
    {kSl, "optimize", "", Needs::kNothing, "at close", nullptr,
     "PRAGMA optimize before a connection closes keeps statistics fresh", "high", SetBy::kPragma},
};

/// Units of the hosts as a power of a base; 0: not a size or time.
struct UnitFactor {
    std::string_view name;
    double factor;
};

double FactorOf(std::string_view unit) {
    static constexpr UnitFactor kFactors[] = {
        {"B", 1},           {"bytes", 1}, {"kB", 1024}, {"8kB", 8192},  {"MB", 1048576},
        {"16MB", 16777216}, {"ms", 1},    {"s", 1000},  {"min", 60000}, {"", 1}};
    for (const UnitFactor& known : kFactors) {
        if (known.name == unit) {
            return known.factor;
        }
    }
    return 0;
}

/// The current value in the unit that the advice uses.
std::string CurrentIn(const CurrentSetting& current, std::string_view unit) {
    double number = 0;
    const char* end = current.value.data() + current.value.size();
    const auto parsed = std::from_chars(current.value.data(), end, number);
    const double factor = FactorOf(current.unit);
    if (parsed.ec != std::errc() || parsed.ptr != end || current.unit.empty() || number < 0 ||
        FactorOf(unit) == 0 || factor == 0) {
        return current.value;
    }
    return NumberText(number * factor / FactorOf(unit), 1);
}

std::string Literal(std::string_view value) {
    std::string out = "'";
    for (const char c : value) {
        out += c;
        out += c == '\'' ? "'" : "";
    }
    return out + "'";
}

std::string SetSql(const SettingsInput& input, const AdvisedSetting& setting,
                   const std::string& value) {
    const std::string name(setting.name);
    const bool is_plain = setting.unit.empty() || FactorOf(setting.unit) == 0;
    const std::string literal =
        Literal(value + (is_plain || value == "0" ? "" : std::string(setting.unit)));
    std::string sql;
    switch (setting.set_by) {
        case SetBy::kSystem:
            return "ALTER SYSTEM SET " + name + " = " + literal;
        case SetBy::kRole:
            for (const std::string& role : input.roles_sql) {
                sql += sql.empty() ? "ALTER ROLE " : ";\nALTER ROLE ";
                sql += role;
                sql += " SET ";
                sql += name;
                sql += " = ";
                sql += literal;
            }
            return sql;
        case SetBy::kPragma:
            break;
    }
    return name == "optimize" ? "PRAGMA optimize" : "PRAGMA " + name + " = " + value;
}

Advised Compute(const SettingsInput& input, const AdvisedSetting& setting) {
    if (setting.needs == Needs::kRam && !input.ram_bytes) {
        return {"", "the machine's RAM could not be detected: pass ram_bytes"};
    }
    if (setting.needs == Needs::kCpus && !input.cpus) {
        return {"", "the number of processors could not be detected: pass cpus"};
    }
    if (setting.compute == nullptr) {
        return {std::string(setting.fixed), ""};
    }
    return setting.compute(input);
}

std::string Confidence(const SettingsInput& input, const AdvisedSetting& setting) {
    if (!setting.confidence.empty()) {
        return std::string(setting.confidence);
    }
    return input.counters_age_s.value_or(0) < kEvidenceMinAgeS ? "low" : "medium";
}

void AddRow(const SettingsInput& input, const AdvisedSetting& setting, RowSink& rows) {
    const auto current = input.current.find(setting.name);
    const bool is_known = current != input.current.end();
    const Advised advised = Compute(input, setting);
    std::string evidence = advised.why;
    const auto add = [&](const std::string& clause) {
        evidence += (evidence.empty() || clause.empty() ? "" : "; ") + clause;
    };
    if (const auto measured = input.evidence.find(setting.name); measured != input.evidence.end()) {
        add(measured->second);
    }
    if (setting.set_by == SetBy::kRole) {
        add(input.roles_sql.empty() ? "no login role besides superusers was found to set it for"
                                    : std::to_string(input.roles_sql.size()) +
                                          " application roles; current_value is "
                                          "what this session would get");
    }
    const std::string now = is_known ? CurrentIn(current->second, setting.unit) : std::string();
    const bool is_same = is_known && now == advised.value && setting.set_by != SetBy::kRole;
    const std::string sql =
        advised.value.empty() || is_same ? std::string() : SetSql(input, setting, advised.value);
    rows.Add({std::string(setting.name), is_known ? Value(now) : Value(),
              advised.value.empty() ? Value() : Value(advised.value),
              setting.unit.empty() ? Value() : Value(std::string(setting.unit)),
              std::string(setting.formula),
              evidence.empty() ? "no measurement is needed" : evidence,
              is_known && current->second.needs_restart, Confidence(input, setting),
              sql.empty() ? Value() : Value(sql)});
}

Result<void> Between(const Arguments& arguments, std::string_view name, int64_t least, int64_t most,
                     std::optional<int64_t>* out) {
    if (arguments.IsNull(name)) {
        return {};
    }
    const int64_t number = arguments.Integer(name);
    if (number < least || number > most) {
        return Error(Code::kInvalidArgument,
                     std::string(name) + " must be between " + std::to_string(least) + " and " +
                         std::to_string(most),
                     "leave it out to use what was detected");
    }
    *out = number;
    return {};
}

Result<void> OneOf(const Arguments& arguments, std::string_view name, std::string_view words,
                   std::string* out) {
    const std::string& given = arguments.Text(name);
    const std::string list = ", " + std::string(words) + ",";
    if (given.empty() || given.find(',') != std::string::npos ||
        list.find(", " + given + ",") == std::string::npos) {
        return Error(Code::kInvalidArgument, "unknown " + std::string(name) + " \"" + given + "\"",
                     "allowed: " + std::string(words));
    }
    *out = given;
    return {};
}

}  // namespace

Result<void> TakeSettingsArguments(const Arguments& arguments, SettingsInput* input) {
    for (const Result<void>& taken :
         {Between(arguments, "ram_bytes", 16 * kMiB, int64_t{1} << 50, &input->ram_bytes),
          Between(arguments, "cpus", 1, 65536, &input->cpus),
          Between(arguments, "max_connections", 1, 262143, &input->max_connections),
          OneOf(arguments, "storage", "ssd, san, hdd", &input->storage),
          OneOf(arguments, "workload", "oltp, web, olap, mixed", &input->workload)}) {
        if (!taken.ok()) {
            return taken.error();
        }
    }
    input->ram_source = arguments.IsNull("ram_bytes") ? input->ram_source : "given";
    input->cpu_source = arguments.IsNull("cpus") ? input->cpu_source : "given";
    return {};
}

void AdviseSettings(const SettingsInput& input, RowSink& rows) {
    for (const AdvisedSetting& setting : kSettings) {
        if (setting.hosts == input.host) {
            AddRow(input, setting, rows);
        }
    }
}

}  // namespace upkeep::health
