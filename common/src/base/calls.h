// The topics' lists of calls. A new topic adds its function here and in AllCalls().
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <span>

#include "upkeep/base/table_function.h"

namespace upkeep {

std::span<const TableFunction> BaseCalls();
std::span<const TableFunction> AdvisorCalls();
std::span<const TableFunction> CaptureCalls();
std::span<const TableFunction> SessionsCalls();
std::span<const TableFunction> WorkflowCalls();
std::span<const TableFunction> HealthCalls();
std::span<const TableFunction> PublishCalls();

}  // namespace upkeep
