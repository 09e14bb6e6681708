// A thread that writes the state files now and then, where setting `flush_interval` asks for it.
// One per process, made by the first capture or change of the setting that wants it; gone when the
// interval is 0 again and when the process ends (what is in memory is written then). It uses
// connections of its own only. A fork waits until no write is under way; the child starts without.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/base/result.h"

namespace upkeep::sqlite {

/// Takes over the setting: starts the thread, ends it, or wakes it to the new interval.
/// Errors: kUnsupported (an SQLite without threads), kHost (no thread to be had).
Result<void> ApplyFlushInterval();

}  // namespace upkeep::sqlite
