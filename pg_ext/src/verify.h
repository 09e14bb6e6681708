// verify_indexes: indexes built for real in a subtransaction that is always rolled back.
//
//   Check, Examine   subtransactions of their own, rolled back: no lock is kept
//   Build            begins the one that holds the locks and the indexes
//   Compare, Run     inside it, each in one of its own; "without" hides the indexes from the
//   planner TakeBack         rolls it back; so does the destructor, whatever ends the call
//
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <memory>
#include <string>

#include "pg.h"
#include "upkeep/advisor/verify.h"

namespace upkeep::pg {

/// Statements whose text is in `roles` by the time they are examined are analysed and run as that
/// role; the caller must have its rights. `roles` outlives it.
std::unique_ptr<advisor::Verifier> MakeVerifier(const std::map<std::string, Oid>& roles);

}  // namespace upkeep::pg
