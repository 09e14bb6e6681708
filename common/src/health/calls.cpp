// The health topic's calls: checks, settings advice, sizes.
// SPDX-License-Identifier: PostgreSQL
#include "../base/calls.h"

namespace upkeep {

std::span<const TableFunction> HealthCalls() {
    return {};
}

}  // namespace upkeep
