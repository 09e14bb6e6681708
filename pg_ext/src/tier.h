// How this library came into the backend: decides what it may do by itself.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/base/capabilities.h"

namespace upkeep::pg {

/// To be called once, in _PG_init: looks at what the server is doing right now.
void RememberTier();
HostFacts::Loaded Tier();

}  // namespace upkeep::pg
