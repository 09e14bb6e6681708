// The publish topic's calls: metrics and report.
// SPDX-License-Identifier: PostgreSQL
#include "../base/calls.h"

namespace upkeep {

std::span<const TableFunction> PublishCalls() {
    return {};
}

}  // namespace upkeep
