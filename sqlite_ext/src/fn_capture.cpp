// SQLite's bodies for the capture topic: statements, slow statements, endpoints.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"

namespace upkeep::sqlite {

std::span<const Body> CaptureBodies() {
    return {};
}

}  // namespace upkeep::sqlite
