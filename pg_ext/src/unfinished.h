// The plan of a query that fails, as far as an error handler may look at it.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"
#include "upkeep/capture/unfinished_plan.h"

extern "C" {
#include "executor/execdesc.h"
}

namespace upkeep::pg {

/// Nodes of one plan, in the handler's own frame.
struct UnfinishedNodes {
    static constexpr int kRoom = 64;
    capture::UnfinishedNode nodes[kRoom];
    int count;
    uint32_t left_out;
};

/// Takes what is there of the plan: plain reads, nothing of the server is called.
void TakeNodes(const QueryDesc* query, UnfinishedNodes* out);

}  // namespace upkeep::pg
