// Who waits for whom, as a tree with the root blockers on top.
//
//   root (waits for nobody, blocks others)            depth 0
//   └─ waiter                                          depth 1
//      └─ waiter of the waiter                         depth 2
//
// A session that waits for several appears once, below all of them: under the deepest (lowest pid
// on a tie). A cycle (a deadlock in waiting, before the server's own check) has no root: its lowest
// pid stands for one. SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace upkeep::sessions {

/// One session of a wait-for graph. pid 0 stands for a prepared transaction (no process).
struct LockNode {
    int64_t pid = 0;
    std::vector<int64_t> blocked_by;  // pids; empty: waits for no lock
    bool is_idle_in_transaction = false;
    bool is_prepared = false;    // a prepared transaction: only COMMIT/ROLLBACK PREPARED ends it
    bool is_background = false;  // autovacuum and other workers
    bool is_hidden = false;      // what it does cannot be seen
    std::string user_name = {};  // its role, for the advice; empty: not known
    double waits_ms = 0;
};

struct LockRow {
    size_t node = 0;  // position in the input
    int depth = 0;
    std::vector<int64_t> path;  // pids from the root to this one
    int64_t root_pid = 0;
    bool is_in_cycle = false;
    int blocks_count = 0;  // sessions that wait for this one, directly or not
    std::string suggested_action;
};

/// Rows in display order: roots by how many they block (most first, then pid), each followed by its
/// subtree. Sessions that neither wait nor block are left out.
std::vector<LockRow> BuildLockTree(const std::vector<LockNode>& nodes);

}  // namespace upkeep::sessions
