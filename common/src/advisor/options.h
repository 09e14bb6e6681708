// Are the caller's options ones that the advisor can work with?
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {

/// The first thing that is wrong with them, as Advise() says it.
Result<void> CheckOptions(const AdviseOptions& options, const WhatIf& port);

}  // namespace upkeep::advisor
