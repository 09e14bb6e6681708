// The WhatIf port on the PostgreSQL planner.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <memory>

#include "upkeep/advisor/what_if.h"

namespace upkeep::pg {

/// One port object for one call; everything it holds ends with it.
std::unique_ptr<advisor::WhatIf> MakeWhatIf();

}  // namespace upkeep::pg
