// SQLite's bodies for the publish topic: metrics and report.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"

namespace upkeep::sqlite {

std::span<const Body> PublishBodies() {
    return {};
}

}  // namespace upkeep::sqlite
