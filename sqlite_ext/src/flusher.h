// A thread that writes the state files now and then, where setting `flush_interval` asks for it:
// made by the first capture or change of the setting that wants it. What is in memory is written
// when the process ends. It uses connections of its own only.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/base/result.h"

namespace upkeep::sqlite {

/// Takes over the setting: starts the thread, ends it, or wakes it to the new interval.
/// Errors: kUnsupported (an SQLite without threads), kHost (no thread to be had).
Result<void> ApplyFlushInterval();

}  // namespace upkeep::sqlite
