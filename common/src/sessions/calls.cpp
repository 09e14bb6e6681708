// The sessions topic's calls: sessions, locks, pools.
// SPDX-License-Identifier: PostgreSQL
#include "../base/calls.h"

namespace upkeep {

std::span<const TableFunction> SessionsCalls() {
    return {};
}

}  // namespace upkeep
