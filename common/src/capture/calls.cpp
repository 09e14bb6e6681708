// The capture topic's calls: statements, slow statements, endpoints.
// SPDX-License-Identifier: PostgreSQL
#include "../base/calls.h"

namespace upkeep {

std::span<const TableFunction> CaptureCalls() {
    return {};
}

}  // namespace upkeep
