// SQLite's bodies for the workflow topic.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"

namespace upkeep::sqlite {

std::span<const Body> WorkflowBodies() {
    return {};
}

}  // namespace upkeep::sqlite
