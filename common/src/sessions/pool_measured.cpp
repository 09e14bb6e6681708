// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <charconv>
#include <cmath>

#include "pool_plan.h"

namespace upkeep::sessions {

namespace {

// A mean over less than that says more about the moment than about the load.
constexpr double kLeastWindowMs = 10'000;
// From so many connections on it matters to the server that most of them do nothing.
constexpr int64_t kManyConnections = 100;
constexpr double kMostlyIdle = 10;  // connections for each busy one

std::string Decimal(double number) {
    char text[400];  // the largest double has 309 digits
    const auto end = std::to_chars(text, text + sizeof(text), number, std::chars_format::fixed, 2);
    return std::string(text, end.ptr);
}

void LoadRow(const PoolFacts& facts, const Plan& plan, Rows& rows) {
    if (!facts.load) {
        rows.Add("measured_concurrency", {}, {}, {}, "unknown",
                 "statements of ten seconds at least have to be captured before a mean means "
                 "anything: see statement_capture in capabilities");
        return;
    }
    const double busy = facts.load->concurrency();
    const bool is_server_full = plan.for_role && busy > static_cast<double>(plan.usable);
    const bool exceeds = is_server_full || busy > static_cast<double>(plan.total());
    rows.Add("measured_concurrency", Decimal(busy),
             S(std::llround(facts.load->busy_ms)) + " ms in captured statements / " +
                 S(std::llround(facts.load->window_ms)) + " ms",
             S(plan.total()), exceeds ? "exceeds" : "ok",
             is_server_full
                 ? "more statements were under way on average than this role may have "
                   "connections: make the statements faster first (advise_indexes, statements)"
             : exceeds ? "more statements were under way on average than these pools have "
                         "connections: other applications ran them, or requests will wait"
                       : "Little's law: statements under way on average; peaks are higher, and "
                         "a transaction holds its connection between statements, too");
}

void ReportedRow(const PoolFacts& facts, const Plan& plan, Rows& rows) {
    const PoolSums& sums = facts.reported;
    if (sums.pools == 0) {
        rows.Add("reported_pools", {}, {}, {}, "unknown",
                 "no pool has reported lately: see report_pool and integrations/sqlalchemy");
        return;
    }
    const bool exceeds = plan.for_role && sums.size + sums.overflow > plan.usable;
    rows.Add("reported_pools", S(sums.checked_out) + " of " + S(sums.size) + " checked out",
             S(sums.pools) + " pools: size " + S(sums.size) + ", overflow " + S(sums.overflow) +
                 ", waiting " + S(sums.waiting) + ", timeouts " + S(sums.timeouts),
             plan.for_role ? Value(S(plan.usable)) : Value(),
             exceeds            ? "exceeds"
             : sums.waiting > 0 ? "limited"
                                : "ok",
             sums.waiting > 0 ? "requests wait for a connection: look in connections for sessions "
                                "that are held long before making pools larger"
                              : "what pools of all applications of this database hold now");
}

/// Needed, cheaper or not: a pooler in transaction mode shares few connections among many.
const char* PoolerVerdict(const PoolFacts& facts, const Plan& plan) {
    if (plan.is_limited) {
        return "needed";
    }
    const bool is_mostly_idle =
        facts.load && facts.load->concurrency() * kMostlyIdle < static_cast<double>(plan.total());
    return plan.total() >= kManyConnections && is_mostly_idle ? "cheaper" : "not_needed";
}

void PoolerRows(const Asked& asked, const PoolFacts& facts, const Plan& plan, Rows& rows) {
    const Value limit = plan.for_role ? Value(S(plan.usable)) : Value();
    const int64_t clients = plan.pools * asked.threads;
    const std::string verdict = PoolerVerdict(facts, plan);
    rows.Add("pooler", std::string(verdict == "not_needed" ? "none" : "transaction mode"),
             S(asked.processes) + " processes * " + S(asked.replicas) + " replicas * " +
                 S(asked.threads) + " threads = " + S(clients),
             limit, verdict.c_str(),
             verdict == "needed"
                 ? "more requests at a time than connections: a pooler in transaction mode "
                   "shares few among many, which costs less than a larger max_connections"
             : verdict == "cheaper"
                 ? "nearly all of these connections do nothing at any time, and each costs the "
                   "server memory and a place in every snapshot: a pooler needs fewer"
                 : "every request at a time can have its connection");
    if (!plan.for_role) {
        return;
    }
    const int64_t fits = plan.usable / asked.threads;
    rows.Add("pooler_from_processes", S(fits + 1),
             S(plan.usable) + " / threads " + S(asked.threads) + " = " + S(fits) + ", and one more",
             limit, plan.pools > fits ? "exceeds" : "ok",
             "from so many processes on, of all replicas, a pooler is the cheaper answer: their "
             "threads cannot all have a connection");
    const char* used = verdict == "not_needed" ? "not_needed" : "needed";
    rows.Add(
        "pooler_pool_size", "default_pool_size=" + S(std::max<int64_t>(plan.usable, 1)),
        "all that the role may have, less headroom", limit, plan.usable < 1 ? "exceeds" : used,
        "of the pooler, for this database and role; it takes the role's connections itself, so "
        "the application has none beside it. In transaction mode SET, LISTEN, session "
        "advisory locks and WITH HOLD cursors do not last; SET LOCAL does");
    rows.Add("pooler_clients", "max_client_conn=" + S(clients),
             S(plan.pools) + " pools * " + S(asked.threads) + " threads", {}, used,
             "of the pooler; behind it DB_POOL_SIZE=" + S(asked.threads) +
                 " and DB_MAX_OVERFLOW=0: connections to a pooler cost little, and who waits "
                 "waits there");
}

}  // namespace

std::optional<MeasuredLoad> MeasureLoad(std::span<const capture::StatementView> statements) {
    MeasuredLoad load;
    int64_t first_us = 0;
    int64_t last_us = 0;
    for (const capture::StatementView& statement : statements) {
        const capture::StatementTotals& totals = statement.counts.totals;
        if (statement.counts.key.top_level == 0 || totals.calls == 0) {
            continue;
        }
        load.busy_ms += static_cast<double>(totals.total_ns) / 1e6;
        first_us = first_us == 0 ? totals.first_seen_us : std::min(first_us, totals.first_seen_us);
        last_us = std::max(last_us, totals.last_seen_us);
    }
    load.window_ms = static_cast<double>(last_us - first_us) / 1000.0;
    return load.window_ms < kLeastWindowMs ? std::nullopt : std::optional(load);
}

void MeasuredRows(const Asked& asked, const PoolFacts& facts, const Plan& plan, Rows& rows) {
    LoadRow(facts, plan, rows);
    ReportedRow(facts, plan, rows);
    if (facts.is_file) {
        rows.Add("pooler", std::string("none"), {}, {}, "not_needed",
                 "a file has no server; many writers are a reason to move to PostgreSQL");
        return;
    }
    PoolerRows(asked, facts, plan, rows);
}

}  // namespace upkeep::sessions
