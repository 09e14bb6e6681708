// SQLite's bodies for the sessions topic: sessions, locks, pools.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"

namespace upkeep::sqlite {

std::span<const Body> SessionsBodies() {
    return {};
}

}  // namespace upkeep::sqlite
