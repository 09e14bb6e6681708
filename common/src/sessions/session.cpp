// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/session.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "upkeep/sessions/lock_tree.h"

namespace upkeep::sessions {

namespace {

Value Text(const std::optional<std::string>& text) {
    return text ? Value(*text) : Value();
}
Value Number(const std::optional<double>& number) {
    return number ? Value(*number) : Value();
}
Value Integer(const std::optional<int64_t>& number) {
    return number ? Value(*number) : Value();
}

/// The process that stands for the session in a wait: of a parallel group the leader.
int64_t GroupPid(const SessionSnapshot& session) {
    return session.leader_pid != 0 ? session.leader_pid : session.pid;
}

/// One node per session; a parallel worker's waits go to its leader's node.
std::vector<LockNode> Nodes(const std::vector<SessionSnapshot>& sessions, int64_t now_us,
                            std::vector<const SessionSnapshot*>* of_node) {
    std::vector<LockNode> nodes;
    std::map<int64_t, size_t> by_pid;
    for (const SessionSnapshot& session : sessions) {
        const bool leads = session.leader_pid == 0;
        const auto [found, is_new] = by_pid.emplace(GroupPid(session), nodes.size());
        if (is_new) {
            nodes.emplace_back().pid = GroupPid(session);
            of_node->push_back(&session);
        }
        LockNode& node = nodes[found->second];
        if (leads) {
            (*of_node)[found->second] = &session;
            node.is_idle_in_transaction =
                session.state == kIdleInTransaction || session.state == kAborted;
            node.is_prepared = session.pid == 0;
            node.is_background = session.kind != SessionKind::kClient;
            node.is_hidden = !session.is_visible;
            node.user_name = session.user_name.value_or("");
        }
        node.blocked_by.insert(node.blocked_by.end(), session.blocked_by.begin(),
                               session.blocked_by.end());
        node.waits_ms = std::max(node.waits_ms, AgeMs(session.waits_since_us, now_us).value_or(0));
    }
    for (LockNode& node : nodes) {
        std::sort(node.blocked_by.begin(), node.blocked_by.end());
        node.blocked_by.erase(std::unique(node.blocked_by.begin(), node.blocked_by.end()),
                              node.blocked_by.end());
    }
    return nodes;
}

}  // namespace

std::optional<double> AgeMs(int64_t since_us, int64_t now_us) {
    if (since_us == 0) {
        return std::nullopt;
    }
    return static_cast<double>(std::max<int64_t>(now_us - since_us, 0)) / 1000.0;
}

int64_t StateSinceUs(const SessionSnapshot& session) {
    return session.state == kActive && session.query_start_us != 0 ? session.query_start_us
                                                                   : session.state_change_us;
}

std::optional<double> StateMs(const SessionSnapshot& session, int64_t now_us) {
    return AgeMs(StateSinceUs(session), now_us);
}

void CountBlocked(std::vector<SessionSnapshot>* sessions) {
    std::vector<const SessionSnapshot*> of_node;
    const std::vector<LockNode> nodes = Nodes(*sessions, 0, &of_node);
    std::map<int64_t, int64_t> counts;
    for (const LockRow& row : BuildLockTree(nodes)) {
        counts[nodes[row.node].pid] = row.blocks_count;
    }
    for (SessionSnapshot& session : *sessions) {
        session.blocks_count = session.leader_pid == 0 ? counts[session.pid] : 0;
    }
}

size_t CountHidden(const std::vector<SessionSnapshot>& sessions) {
    return static_cast<size_t>(
        std::count_if(sessions.begin(), sessions.end(),
                      [](const SessionSnapshot& session) { return !session.is_visible; }));
}

void Connections(const std::vector<SessionSnapshot>& sessions, int64_t now_us, RowSink& rows) {
    for (const SessionSnapshot& session : sessions) {
        if (session.pid == 0) {
            continue;  // a prepared transaction is nobody's connection
        }
        rows.Add({session.pid, Text(session.database_name), Text(session.user_name),
                  session.application_name, Text(session.client_addr), Text(session.backend_type),
                  Text(session.state), Number(StateMs(session, now_us)),
                  Number(AgeMs(session.xact_start_us, now_us)), Text(session.wait_event),
                  Integer(session.blocks_count),
                  session.holds_xmin ? Value(*session.holds_xmin) : Value(), Text(session.rule),
                  Number(session.reap_in_ms), Text(session.query), session.is_visible});
    }
}

void ConnectionSummary(const std::vector<SessionSnapshot>& sessions, int64_t now_us,
                       RowSink& rows) {
    using Text = std::optional<std::string>;
    struct Group {
        int64_t count = 0;
        std::optional<double> oldest_ms;
    };
    std::map<std::tuple<std::string, Text, Text, Text>, Group> groups;
    for (const SessionSnapshot& session : sessions) {
        if (session.pid == 0 ||
            (session.kind != SessionKind::kClient && session.kind != SessionKind::kOtherProcess)) {
            continue;
        }
        Group& group = groups[{session.application_name, session.database_name, session.user_name,
                               session.state}];
        ++group.count;
        group.oldest_ms = std::max(group.oldest_ms, StateMs(session, now_us));
    }
    for (const auto& [key, group] : groups) {
        const auto& [application, database, user, state] = key;
        rows.Add({application, sessions::Text(database), sessions::Text(user),
                  sessions::Text(state), group.count, Number(group.oldest_ms)});
    }
}

void RunningStatements(const std::vector<SessionSnapshot>& sessions, int64_t now_us,
                       RowSink& rows) {
    std::vector<const SessionSnapshot*> running;
    for (const SessionSnapshot& session : sessions) {
        if (session.state == kActive && !session.is_own && session.leader_pid == 0 &&
            session.kind != SessionKind::kReplication) {
            running.push_back(&session);
        }
    }
    std::stable_sort(running.begin(), running.end(),
                     [](const SessionSnapshot* a, const SessionSnapshot* b) {
                         return a->query_start_us < b->query_start_us;
                     });
    for (const SessionSnapshot* session : running) {
        rows.Add({session->pid, Text(session->user_name), session->application_name,
                  Number(AgeMs(session->query_start_us, now_us)), Text(session->wait_event),
                  session->waits_are_visible ? Value(session->blocked_by) : Value(),
                  Text(session->progress), Text(session->query)});
    }
}

void LockTree(const std::vector<SessionSnapshot>& sessions, int64_t now_us, RowSink& rows) {
    std::vector<const SessionSnapshot*> of_node;
    const std::vector<LockNode> nodes = Nodes(sessions, now_us, &of_node);
    for (LockRow& row : BuildLockTree(nodes)) {
        const LockNode& node = nodes[row.node];
        const SessionSnapshot& session = *of_node[row.node];
        rows.Add({int64_t{row.depth}, std::move(row.path), node.pid, node.blocked_by, row.root_pid,
                  Text(session.state), node.blocked_by.empty() ? Value() : Value(node.waits_ms),
                  Text(session.lock_mode), Text(session.lock_target), Text(session.query),
                  row.suggested_action});
    }
}

void LockHolders(const std::vector<SessionSnapshot>& sessions, RowSink& rows) {
    for (const SessionSnapshot& session : sessions) {
        if (!session.lock_mode) {
            continue;
        }
        const char* action =
            session.is_own ? "this connection: finish its transaction"
            : session.kind == SessionKind::kOtherProcess
                ? "end or finish the transaction in that process: nobody can do it from here"
            : session.open_statements > 0
                ? "let its owner step to the end, reset or finalize; end_session interrupts it"
                : "let its owner COMMIT or ROLLBACK: nobody else can do it soundly";
        rows.Add({int64_t{0}, BigintArray{session.pid}, session.pid, Value(), session.pid,
                  Text(session.state), Value(), Text(session.lock_mode), Text(session.lock_target),
                  Text(session.query), std::string(action)});
    }
}

std::optional<int64_t> LimitForRole(const ConnectionLimits& limits) {
    if (!limits.max_connections) {
        return std::nullopt;
    }
    if (limits.is_superuser) {
        return limits.max_connections;
    }
    int64_t most = *limits.max_connections - limits.superuser_reserved.value_or(0) -
                   limits.reserved.value_or(0);
    most = std::min(most, limits.role_limit.value_or(most));
    most = std::min(most, limits.database_limit.value_or(most));
    return std::max<int64_t>(most, 0);
}

std::optional<int64_t> AvailableNow(const ConnectionLimits& limits) {
    if (!limits.max_connections) {
        return std::nullopt;
    }
    int64_t left = *limits.max_connections - limits.used;
    if (!limits.is_superuser) {
        left -= limits.superuser_reserved.value_or(0) + limits.reserved.value_or(0);
        if (limits.role_limit) {
            left = std::min(left, *limits.role_limit - limits.role_used);
        }
        if (limits.database_limit) {
            left = std::min(left, *limits.database_limit - limits.database_used);
        }
    }
    return std::max<int64_t>(left, 0);
}

void ConnectionLimitsRow(const ConnectionLimits& limits, RowSink& rows) {
    rows.Add({Integer(limits.max_connections), Integer(limits.superuser_reserved),
              Integer(limits.reserved), limits.used, Integer(limits.role_limit),
              Integer(limits.database_limit), Integer(AvailableNow(limits))});
}

}  // namespace upkeep::sessions
