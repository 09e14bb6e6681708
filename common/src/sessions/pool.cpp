// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/pool.h"

#include <algorithm>
#include <string>

#include "pool_plan.h"

namespace upkeep::sessions {

namespace {

constexpr GuideRow kGuide[] = {
    {"development", 5, 10, "1-2"},
    {"staging", 10, 20, "4-8"},
    {"production", 20, 40, "10-20"},
    {"high_load", 30, 50, "20+"},
};
constexpr const char* kTest = "test";
constexpr int64_t kMost = 1'000'000;  // of each argument: their product stays within 64 bits
constexpr int64_t kGuideRecycleS = 3600;
constexpr int64_t kTimeoutS = 30;
constexpr int64_t kRecycleS = 1800;
constexpr int64_t kLeastHeadroom = 3;  // for psql, a migration and a dump at the same time

/// Whoever asks as a superuser asks for an application that, one hopes, is none.
ConnectionLimits ForApplication(ConnectionLimits limits) {
    if (limits.is_superuser) {
        limits.is_superuser = false;
        limits.role_limit.reset();
    }
    return limits;
}

Plan Work(const Asked& asked, const PoolFacts& facts) {
    Plan plan;
    plan.pools = asked.processes * asked.replicas;
    plan.pool_size = asked.threads;
    plan.for_role = LimitForRole(ForApplication(facts.limits));
    if (facts.is_file || !plan.for_role) {
        plan.max_overflow = facts.is_file ? 0 : asked.threads;
        return plan;
    }
    plan.headroom = std::max(kLeastHeadroom, (*plan.for_role + 9) / 10);
    plan.usable = std::max<int64_t>(*plan.for_role - plan.headroom, 0);
    plan.per_pool = plan.usable / plan.pools;
    plan.fits = plan.per_pool >= 1;
    plan.is_limited = plan.per_pool < asked.threads;
    plan.pool_size = std::clamp<int64_t>(asked.threads, 1, std::max<int64_t>(plan.per_pool, 1));
    plan.max_overflow = std::clamp<int64_t>(plan.per_pool - plan.pool_size, 0, plan.pool_size);
    return plan;
}

/// `86 = 97 for this role (max_connections 100 - 3 reserved) - 10 headroom`
Value LimitText(const Plan& plan, const ConnectionLimits& limits) {
    if (!plan.for_role) {
        return {};
    }
    const int64_t reserved = limits.superuser_reserved.value_or(0) + limits.reserved.value_or(0);
    std::string text = S(plan.usable) + " = " + S(*plan.for_role) + " for the role (";
    text += "max_connections " + S(*limits.max_connections);
    text += " - " + S(reserved) + " reserved";
    text += limits.role_limit ? ", role limit " + S(*limits.role_limit) : "";
    text += limits.database_limit ? ", database limit " + S(*limits.database_limit) : "";
    return text + ") - " + S(plan.headroom) + " headroom";
}

void SizeRows(const Asked& asked, const PoolFacts& facts, const Plan& plan, Rows& rows) {
    const Value limit = LimitText(plan, ForApplication(facts.limits));
    const char* verdict = !plan.fits ? "exceeds" : plan.is_limited ? "limited" : "ok";
    std::string formula = "min(threads " + S(asked.threads);
    if (plan.for_role) {
        formula += ", " + S(plan.usable) + " / (" + S(asked.processes) + " processes * " +
                   S(asked.replicas) + " replicas) = " + S(plan.per_pool);
    }
    rows.Add("pool_size", "DB_POOL_SIZE=" + S(plan.pool_size), formula + ")", limit, verdict,
             "a pool belongs to one process, and a thread works with one connection at a time; the "
             "guide's workers * 2 + buffer (" +
                 S(asked.guide->pool_size) + " for " + asked.guide->environment +
                 ") puts the number of all workers into the pool of each");
    rows.Add("max_overflow", "DB_MAX_OVERFLOW=" + S(plan.max_overflow),
             facts.is_file
                 ? Value(std::string("0"))
                 : Value("min(pool_size " + S(plan.pool_size) +
                         (plan.for_role ? ", " + S(plan.per_pool) + " - pool_size)" : ")")),
             limit, verdict,
             facts.is_file
                 ? "more connections do not write faster: a file has one writer at a time"
                 : "room for code that opens a second connection while it holds one; the guide's "
                   "pool_size * 2 (" +
                       S(asked.guide->max_overflow) +
                       ") is opened by every process at once when the load is highest");
}

void LifeRows(const Asked& asked, const PoolFacts& facts, Rows& rows) {
    rows.Add("pool_timeout", "DB_POOL_TIMEOUT=" + S(kTimeoutS), "the guide's 30 s", {}, "ok",
             "a request that waits this long fails; when that happens, look at connections for "
             "sessions that are held long before making the pool larger");
    if (facts.is_file) {
        rows.Add("pool_recycle", std::string("DB_POOL_RECYCLE=-1"), "never", {}, "not_needed",
                 "no server and no network drops the connection to a file");
        rows.Add("pre_ping", std::string("DB_POOL_PRE_PING=false"), {}, {}, "not_needed",
                 "a connection to a file does not go away by itself");
        return;
    }
    const int64_t timeout_s = facts.idle_session_timeout_ms / 1000;
    const bool is_bound = facts.idle_session_timeout_ms > 0 && timeout_s * 4 / 5 < kRecycleS;
    const int64_t recycle = is_bound ? std::max<int64_t>(timeout_s * 4 / 5, 1) : kRecycleS;
    rows.Add("pool_recycle", "DB_POOL_RECYCLE=" + S(recycle),
             is_bound ? "4/5 of idle_session_timeout " + S(timeout_s) + " s"
                      : "half of the guide's " + S(kGuideRecycleS) + " s",
             is_bound ? Value("idle_session_timeout " + S(timeout_s) + " s") : Value(), "ok",
             "below the shortest idle timeout on the way (many load balancers drop sooner than an "
             "hour); it is looked at when a connection is taken, so one that is held is never "
             "renewed: use TCP keepalives too");
    rows.Add("pre_ping", std::string("DB_POOL_PRE_PING=true"), "one round trip for each checkout",
             {}, "ok",
             "a connection that the server ended while it lay in the pool is replaced instead of "
             "failing the request");
    if (asked.guide->environment != std::string("development")) {
        rows.Add("echo", std::string("DB_ECHO=false"), {}, {}, "ok",
                 "statements in the application's log cost time and show values");
    }
}

void TotalRows(const Asked& asked, const PoolFacts& facts, const Plan& plan, Rows& rows) {
    const Value limit = plan.for_role ? Value(S(plan.usable)) : Value();
    const std::string times =
        S(asked.processes) + " processes * " + S(asked.replicas) + " replicas * (";
    rows.Add("total_connections", S(plan.total()),
             times + S(plan.pool_size) + " + " + S(plan.max_overflow) + ")", limit,
             plan.fits ? "ok" : "exceeds",
             plan.fits ? S(facts.limits.used) +
                             (facts.is_file ? " connections of this process are open now"
                                            : " connections are open now, of all applications; "
                                              "their pools need their share too")
                       : "even one connection for each process is more than there are");
    const int64_t per_process = asked.guide->pool_size + asked.guide->max_overflow;
    const int64_t guide = plan.pools * per_process;
    const bool breaks = plan.for_role && guide > plan.usable;
    rows.Add("guide_total_connections", S(guide),
             times + S(asked.guide->pool_size) + " + " + S(asked.guide->max_overflow) + ")", limit,
             breaks ? "exceeds" : "ok",
             std::string("the guide's row ") + asked.guide->environment + " (" +
                 asked.guide->workers + " workers) counts " + S(per_process) +
                 " connections, which is one process; " +
                 (breaks ? "with that, connections are refused at full load: it fits " +
                               S(plan.usable / per_process) + " processes, of all replicas"
                         : "the server sees this many at full load"));
}

Result<Asked> Ask(const Arguments& arguments) {
    Asked asked = {arguments.Integer("processes"), arguments.Integer("threads"),
                   arguments.Integer("replicas"), nullptr};
    for (const auto& [name, number] :
         {std::pair("processes", asked.processes), std::pair("threads", asked.threads),
          std::pair("replicas", asked.replicas)}) {
        if (number < 1 || number > kMost) {
            return Error(Code::kInvalidArgument,
                         std::string(name) + " must be between 1 and " + S(kMost),
                         "give the number that the application is started with");
        }
    }
    const std::string& environment = arguments.Text("environment");
    for (const GuideRow& row : kGuide) {
        if (environment == row.environment) {
            asked.guide = &row;
        }
    }
    if (asked.guide == nullptr && environment != kTest) {
        return Error(Code::kInvalidArgument, "environment must not be " + environment,
                     "use development, staging, production, high_load or test");
    }
    return asked;
}

}  // namespace

Result<void> AdvisePool(const Arguments& arguments, const PoolFacts& facts, RowSink& sink) {
    const Result<Asked> asked = Ask(arguments);
    if (!asked.ok()) {
        return asked.error();
    }
    Rows rows(sink);
    if (asked.value().guide == nullptr) {
        rows.Add("environment", std::string("ENVIRONMENT=test"), {}, {}, "ok",
                 "the guide's NullPool: each checkout opens a connection and closes it; with "
                 "sqlite:///:memory: every one of them is a new empty database: use a file, or "
                 "StaticPool");
        for (const char* parameter :
             {"pool_size", "max_overflow", "pool_timeout", "pool_recycle", "pre_ping"}) {
            rows.Add(parameter, {}, {}, {}, "not_used", "NullPool keeps no connection");
        }
        return {};
    }
    const Plan plan = Work(asked.value(), facts);
    SizeRows(asked.value(), facts, plan, rows);
    LifeRows(asked.value(), facts, rows);
    TotalRows(asked.value(), facts, plan, rows);
    MeasuredRows(asked.value(), facts, plan, rows);
    return {};
}

}  // namespace upkeep::sessions
