// The WhatIf port on the PostgreSQL planner.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <memory>
#include <string>

#include "pg.h"
#include "upkeep/advisor/what_if.h"

namespace upkeep::pg {

/// One port object for one call; everything it holds ends with it. Texts with a role in `roles` are
/// analysed and planned as that role, in a security-restricted operation; the caller must have that
/// role's rights. All others with the caller's rights. `forbidden`: WhatIf::Forbidden.
std::unique_ptr<advisor::WhatIf> MakeWhatIf(std::map<std::string, Oid> roles = {},
                                            std::vector<int64_t> forbidden = {});

}  // namespace upkeep::pg
