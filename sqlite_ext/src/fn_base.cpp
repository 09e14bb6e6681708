// upkeep itself: version, capabilities, settings.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "upkeep/base/version.h"

namespace upkeep::sqlite {

namespace {

Result<Value> VersionCall(sqlite3*, const Arguments&) {
    return Value(std::string(Version()));
}

constexpr Body kBodies[] = {
    {.call = "version", .value = VersionCall},
};

}  // namespace

std::span<const Body> BaseBodies() {
    return kBodies;
}

}  // namespace upkeep::sqlite
