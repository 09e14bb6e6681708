// The module's entry point: checks the host, registers the calls, nothing else.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <string>
#include <vector>

#include "adapter.h"
#include "guard.h"
#include "registry.h"
#include "stmt.h"
#include "upkeep/base/version.h"

SQLITE_EXTENSION_INIT1

namespace upkeep::sqlite {

namespace {

void CheckHost() {
    if (sqlite3_libversion_number() < kOldestVersion) {
        throw Error(
            Code::kUnsupported,
            std::string("upkeep needs SQLite 3.38 or later, this is ") + sqlite3_libversion(),
            "load it into a program with a newer SQLite");
    }
}

/// Loaded here before? Functions cannot be replaced while a statement runs, for instance
/// `SELECT load_extension(…)` itself, so a second load leaves the first one's in place.
bool IsLoaded(sqlite3* db) {
    Result<Stmt> version = Stmt::Prepare(db, "SELECT upkeep_version()");
    if (!version.ok()) {
        // Under sqlite3_auto_extension an error that stays behind fails the opening itself.
        static_cast<void>(Stmt::Prepare(db, "SELECT 1"));
        return false;
    }
    return version.value().Step() && version.value().Text(0) == Version();
}

int Load(sqlite3* db) {
    CheckHost();
    if (IsLoaded(db)) {
        return SQLITE_OK;
    }
    std::vector<Body> bodies;
    for (const std::span<const Body> topic :
         {BaseBodies(), AdvisorBodies(), CaptureBodies(), SessionsBodies(), WorkflowBodies(),
          WorkflowStatsBodies(), HealthBodies(), PublishBodies()}) {
        bodies.insert(bodies.end(), topic.begin(), topic.end());
    }
    std::vector<const TableFunction*> calls = AllCalls();
    // Version comes first in the list and last here: where it answers, the others are there too.
    std::reverse(calls.begin(), calls.end());
    RegisterCalls(db, calls, bodies);
    RegisterConnection(db);
    WatchNewConnections();
    return SQLITE_OK;
}

}  // namespace

}  // namespace upkeep::sqlite

extern "C" __attribute__((visibility("default"))) int sqlite3_upkeep_init(
    sqlite3* db, char** message, const sqlite3_api_routines* api) {
    SQLITE_EXTENSION_INIT2(api);
    char* text = nullptr;  // the host's *message may be uninitialised
    const int code = upkeep::sqlite::EnterVtab(&text, [=] { return upkeep::sqlite::Load(db); });
    if (text != nullptr && message != nullptr) {
        *message = text;
    } else {
        sqlite3_free(text);
    }
    return code;
}
