// The workload that was captured, where none is given.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <string>
#include <vector>

#include "pg.h"
#include "upkeep/advisor/advise.h"
#include "upkeep/base/result.h"

namespace upkeep::pg {

/// Is there an extension whose captured statements can be read?
bool HasStatementSource();

/// Captured statements and, for each text, the role that ran it. Planning calls functions that the
/// text names, so it is planned as that role (what_if.h): else an administrator who asks for advice
/// would run a stranger's function with his own rights.
struct CapturedStatements {
    std::vector<advisor::WorkloadStatement> workload;
    std::map<std::string, Oid> roles;  // of texts and of samples
    std::vector<int64_t> forbidden;    // advisor::WhatIf::Forbidden
};

/// Statements of this database, weighted by total time in ms, of the roles whose rights the caller
/// has (a superuser: all).
/// Errors: kUnsupported with what to do, where there is no source or it is not running.
Result<CapturedStatements> CapturedWorkload();

}  // namespace upkeep::pg
