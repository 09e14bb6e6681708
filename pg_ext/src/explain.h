// explain_statement(run => true): executes one SELECT with the caller's rights, reading only, for a
// limited time, in a subtransaction that is rolled back.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <memory>

#include "upkeep/advisor/explain.h"

namespace upkeep::pg {

std::unique_ptr<advisor::Runner> MakeRunner();

}  // namespace upkeep::pg
