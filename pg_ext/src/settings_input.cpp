// SPDX-License-Identifier: PostgreSQL
#include "settings_input.h"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "host_query.h"
#include "upkeep/health/machine.h"

namespace upkeep::pg {

namespace {

constexpr const char* kSettings =
    "SELECT name, setting, unit, context = 'postmaster' FROM pg_settings WHERE name IN ("
    "'shared_buffers', 'effective_cache_size', 'work_mem', 'maintenance_work_mem', 'max_wal_size',"
    "'random_page_cost', 'effective_io_concurrency', 'max_worker_processes',"
    "'max_parallel_workers', 'max_parallel_workers_per_gather', 'jit',"
    "'log_min_duration_statement', 'log_min_duration_sample', 'log_statement_sample_rate',"
    "'log_parameter_max_length', 'log_line_prefix', 'log_statement', 'log_lock_waits',"
    "'track_io_timing', 'statement_timeout', 'lock_timeout',"
    "'idle_in_transaction_session_timeout', 'max_connections')";

constexpr const char* kRoles =
    "SELECT quote_ident(rolname) FROM pg_roles WHERE rolcanlogin AND NOT rolsuper"
    " AND NOT rolreplication AND NOT starts_with(rolname, 'pg_') ORDER BY rolname";

// What the workload says about a setting, as a clause.
constexpr const char* kEvidence =
    "SELECT 'shared_buffers', format('%s %% of block reads found in them',"
    "    round(100.0 * blks_hit / nullif(blks_hit + blks_read, 0), 1)) FROM pg_stat_database"
    "  WHERE datname = current_database() AND blks_hit + blks_read > 0"
    " UNION ALL SELECT 'work_mem', format('%s temporary files, %s', temp_files,"
    "    pg_size_pretty(temp_bytes)) FROM pg_stat_database WHERE datname = current_database()"
    " UNION ALL SELECT 'max_wal_size', format('%s checkpoints by time, %s by volume or request',"
    "    checkpoints_timed, checkpoints_req) FROM pg_stat_bgwriter";

constexpr const char* kCountersAge =
    "SELECT extract(epoch FROM now() - greatest("
    "    (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),"
    "    (SELECT stats_reset FROM pg_stat_bgwriter)))";

std::string ReadSmallFile(const std::string& path) {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

health::SettingsInput ReadSettingsInput() {
    health::SettingsInput input;
    input.host = Hosts::kPostgres;
    const health::Machine machine =
        health::DetectMachine(ReadSmallFile, sysconf(_SC_NPROCESSORS_ONLN));
    input.ram_bytes = machine.ram_bytes;
    input.ram_source = machine.ram_source;
    input.cpus = machine.cpus;
    input.cpu_source = machine.cpu_source;
    const HostRows settings = Query(kSettings);
    for (int i = 0; i < settings.rows; ++i) {
        if (settings.Text(i, 0) == "max_connections") {
            input.max_connections = settings.Integer(i, 1);
        }
        input.current[settings.Text(i, 0)] = {settings.Text(i, 1), settings.Text(i, 2),
                                              settings.Bool(i, 3)};
    }
    const HostRows roles = Query(kRoles);
    for (int i = 0; i < roles.rows; ++i) {
        input.roles_sql.push_back(roles.Text(i, 0));
    }
    const HostRows evidence = Query(kEvidence);
    for (int i = 0; i < evidence.rows; ++i) {
        input.evidence[evidence.Text(i, 0)] = evidence.Text(i, 1);
    }
    input.counters_age_s = Query(kCountersAge).Number(0, 0);
    return input;
}

}  // namespace upkeep::pg
