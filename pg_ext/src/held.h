// What this session holds that would be lost with it and that a rule may spare it for: it listens,
// has an advisory lock of the session, a temporary table, a cursor WITH HOLD.
//
// The server tells of the last three while the session waits for its client, by plain look-ups in
// its own memory; that it listens is known to nobody outside of async.c, so it is noted when the
// statement comes. In doubt it holds it.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <optional>

struct Node;

namespace upkeep::pg {

/// Bits of sessions::Spare. To be called in a signal handler while the session waits for its
/// client, so that it is not in the middle of changing what is looked at. Raises nothing.
/// Nullopt: cannot be told at this moment.
std::optional<uint8_t> HeldBySession();

/// A utility statement is about to run.
void NoteWhatIsHeld(const Node* statement);

}  // namespace upkeep::pg
