// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/lock_tree.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace upkeep::sessions {

namespace {

constexpr size_t kNobody = static_cast<size_t>(-1);

/// The wait-for graph with what is derived from it once. Work: nodes x edges.
class Graph {
  public:
    explicit Graph(const std::vector<LockNode>& nodes)
        : nodes_(nodes),
          blockers_(nodes.size()),
          waiters_(nodes.size()),
          blocks_count_(nodes.size()),
          is_in_cycle_(nodes.size()),
          parent_(nodes.size(), kNobody),
          depth_(nodes.size(), -1) {
        std::map<int64_t, size_t> by_pid;
        for (size_t i = 0; i < nodes.size(); ++i) {
            by_pid.emplace(nodes[i].pid, i);
        }
        for (size_t i = 0; i < nodes.size(); ++i) {
            for (const int64_t pid : nodes[i].blocked_by) {
                const auto found = by_pid.find(pid);
                if (found != by_pid.end() && found->second != i) {
                    blockers_[i].push_back(found->second);
                    waiters_[found->second].push_back(i);
                }
            }
        }
        for (size_t i = 0; i < nodes.size(); ++i) {
            MeasureReach(i);
        }
    }

    std::vector<LockRow> Rows() {
        std::vector<size_t> roots = PlaceAll();
        std::stable_sort(roots.begin(), roots.end(), [&](size_t a, size_t b) {
            return blocks_count_[a] != blocks_count_[b] ? blocks_count_[a] > blocks_count_[b]
                                                        : nodes_[a].pid < nodes_[b].pid;
        });
        std::vector<std::vector<size_t>> children(nodes_.size());
        for (const size_t i : ByPid()) {
            if (parent_[i] != kNobody) {
                children[parent_[i]].push_back(i);
            }
        }
        std::vector<LockRow> rows;
        std::vector<size_t> open(roots.rbegin(), roots.rend());  // a stack: next row last
        std::vector<int64_t> path;
        while (!open.empty()) {
            const size_t node = open.back();
            open.pop_back();
            path.resize(static_cast<size_t>(depth_[node]));
            path.push_back(nodes_[node].pid);
            rows.push_back({node, depth_[node], path, path.front(), is_in_cycle_[node],
                            blocks_count_[node], Suggest(node)});
            open.insert(open.end(), children[node].rbegin(), children[node].rend());
        }
        return rows;
    }

  private:
    std::vector<size_t> ByPid() const {
        std::vector<size_t> order(nodes_.size());
        std::iota(order.begin(), order.end(), size_t{0});
        std::sort(order.begin(), order.end(),
                  [&](size_t a, size_t b) { return nodes_[a].pid < nodes_[b].pid; });
        return order;
    }

    void MeasureReach(size_t start) {
        std::vector<bool> seen(nodes_.size());
        std::vector<size_t> open = {start};
        while (!open.empty()) {
            const size_t at = open.back();
            open.pop_back();
            for (const size_t waiter : waiters_[at]) {
                if (!seen[waiter]) {
                    seen[waiter] = true;
                    open.push_back(waiter);
                }
            }
        }
        is_in_cycle_[start] = seen[start];
        blocks_count_[start] = static_cast<int>(std::count(seen.begin(), seen.end(), true)) -
                               (is_in_cycle_[start] ? 1 : 0);
    }

    /// Gives every waiter its place below all it waits for: a node is placed when all its blockers
    /// are. Where nobody is left to place, a cycle is broken at its lowest pid.
    std::vector<size_t> PlaceAll() {
        const std::vector<size_t> order = ByPid();
        std::vector<size_t> roots;
        std::vector<size_t> missing(nodes_.size());
        std::vector<size_t> ready;
        for (const size_t i : order) {
            missing[i] = blockers_[i].size();
        }
        for (const size_t i : order) {
            if (blockers_[i].empty() && !waiters_[i].empty()) {
                roots.push_back(i);
                Place(i, kNobody, &missing, &ready);
            }
        }
        Drain(&missing, &ready);
        for (const size_t i : order) {
            if (depth_[i] < 0 && is_in_cycle_[i]) {
                roots.push_back(i);
                Place(i, kNobody, &missing, &ready);
                Drain(&missing, &ready);
            }
        }
        return roots;
    }

    void Place(size_t node, size_t parent, std::vector<size_t>* missing,
               std::vector<size_t>* ready) {
        parent_[node] = parent;
        depth_[node] = parent == kNobody ? 0 : depth_[parent] + 1;
        for (const size_t waiter : waiters_[node]) {
            if (--(*missing)[waiter] == 0 && depth_[waiter] < 0) {
                ready->push_back(waiter);
            }
        }
    }

    void Drain(std::vector<size_t>* missing, std::vector<size_t>* ready) {
        while (!ready->empty()) {
            const size_t node = ready->back();
            ready->pop_back();
            size_t parent = blockers_[node].front();
            for (const size_t blocker : blockers_[node]) {
                if (depth_[blocker] > depth_[parent] ||
                    (depth_[blocker] == depth_[parent] &&
                     nodes_[blocker].pid < nodes_[parent].pid)) {
                    parent = blocker;
                }
            }
            Place(node, parent, missing, ready);
        }
    }

    std::string Suggest(size_t node) const {
        const LockNode& session = nodes_[node];
        if (is_in_cycle_[node]) {
            return "deadlock: the server ends one of them after deadlock_timeout";
        }
        if (parent_[node] != kNobody) {
            return "wait: ends with its blocker";
        }
        if (session.is_prepared) {
            return "commit or roll back the prepared transaction";
        }
        if (session.is_background) {
            return "leave it: a background worker ends or yields by itself";
        }
        if (session.is_hidden) {
            return "its state is hidden from you: ask a role with pg_read_all_stats";
        }
        if (session.is_idle_in_transaction) {
            return Prevent(session, "idle_in_transaction_session_timeout") +
                   "; now: end it: " + EndCall(session.pid, "end");
        }
        return Prevent(session, "statement_timeout") +
               " (and lock_timeout for those that wait); now: cancel its statement: " +
               EndCall(session.pid, "cancel");
    }

    /// The time limit that keeps this from happening again, for the role and not for everyone:
    /// dumps and index builds may take their time.
    static std::string Prevent(const LockNode& session, const char* setting) {
        std::string role;
        for (const char character : session.user_name) {
            role += character == '"' ? "\"\"" : std::string(1, character);
        }
        return role.empty() ? "set " + std::string(setting) + " for its role"
                            : "ALTER ROLE \"" + role + "\" SET " + setting + " = '5min'";
    }

    static std::string EndCall(int64_t pid, const char* mode) {
        return "SELECT * FROM upkeep.end_session(" + std::to_string(pid) + ", '" + mode +
               "', dry_run => false)";
    }

    const std::vector<LockNode>& nodes_;
    std::vector<std::vector<size_t>> blockers_;
    std::vector<std::vector<size_t>> waiters_;
    std::vector<int> blocks_count_;
    std::vector<bool> is_in_cycle_;
    std::vector<size_t> parent_;
    std::vector<int> depth_;
};

}  // namespace

std::vector<LockRow> BuildLockTree(const std::vector<LockNode>& nodes) {
    return Graph(nodes).Rows();
}

}  // namespace upkeep::sessions
