// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/version.h"

namespace upkeep {

const char* Version() {
    return UPKEEP_VERSION;
}

}  // namespace upkeep
