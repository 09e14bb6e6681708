// SQLite's bodies for the health topic: checks, settings advice, sizes.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"

namespace upkeep::sqlite {

std::span<const Body> HealthBodies() {
    return {};
}

}  // namespace upkeep::sqlite
