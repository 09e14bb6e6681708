// SPDX-License-Identifier: PostgreSQL
#include "flusher.h"

#include <cstdlib>

#include "background.h"
#include "captured.h"
#include "settings_state.h"
#include "statement_samples.h"

namespace upkeep::sqlite {

namespace {

std::chrono::milliseconds FlushInterval() {
    return std::chrono::milliseconds(strtoll(SettingValue("flush_interval").c_str(), nullptr, 10));
}

void FlushAll() {
    if (Capture* capture = TheCapture()) {
        for (const std::string& database : capture->Databases()) {
            SaveAtClose(database);
        }
    }
}

void WatchMutexes() {
    static_cast<void>(SaveTrouble(""));
    static_cast<void>(CurrentInterval(MakeCapture(), 0));
}

Background& TheFlusher() {
    static Background& flusher = *new Background(
        {.what = "writing every flush_interval",
         .hint = "SELECT upkeep_set('flush_interval', 0), and upkeep_save() now and then",
         .interval = FlushInterval,
         .round = FlushAll,
         .at_end = FlushAll,
         .watch_mutexes = WatchMutexes});
    return flusher;
}

}  // namespace

Result<void> ApplyFlushInterval() {
    return TheFlusher().Apply(TheCapture() != nullptr);
}

}  // namespace upkeep::sqlite
