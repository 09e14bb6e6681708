// SPDX-License-Identifier: PostgreSQL
#pragma once

namespace upkeep {

/// The version of the library, from the file VERSION through the build (UPKEEP_VERSION).
const char* Version();

}  // namespace upkeep
