// upkeep itself: version.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "upkeep/base/version.h"

UPKEEP_SCALAR(version) {
    return upkeep::Value(std::string(upkeep::Version()));
}
