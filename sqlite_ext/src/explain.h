// explain_statement(run => 1): executes one SELECT on a read-only connection of our own.
// Not on the caller's: a time limit needs a progress handler and a refusal an authorizer, and there
// is only one of each, the application's, which nobody can ask for to put it back. So a run sees
// what is committed in database files, with the functions that every connection has.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <memory>

#include "sqlite_api.h"
#include "upkeep/advisor/explain.h"

namespace upkeep::sqlite {

/// `db` and `port` outlive it; the port is asked whether the caller cancelled.
std::unique_ptr<advisor::Runner> MakeRunner(sqlite3* db, advisor::WhatIf& port);

}  // namespace upkeep::sqlite
