// The reaper: one background worker that applies the rules of reap_rules to the sessions of all
// databases. It only chooses; who is chosen ends itself, or refuses (doorbell.h).
//
//   upkeep.reaper off   waits without a connection
//              on       connects to upkeep.database; looks when a rule becomes due for a session,
//                       when rules were written, and every upkeep.reaper_interval while something
//                       that is due is held back; between looks it sleeps
//              off      writes its log and exits; the server starts it anew
//   SIGTERM             takes back its questions, writes its log, exits; started anew, too
//   an error            is logged, and it goes on a second later (longer when it comes again)
//
// During recovery it is not started.
// SPDX-License-Identifier: PostgreSQL
#pragma once

namespace upkeep::pg {

/// To be called in _PG_init while the server starts.
void RegisterReaper();

}  // namespace upkeep::pg
