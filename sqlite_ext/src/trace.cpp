// SPDX-License-Identifier: PostgreSQL
#include "trace.h"

#include <map>
#include <mutex>

#include "captured.h"
#include "flusher.h"
#include "fork_safe.h"
#include "guard.h"
#include "private_opening.h"
#include "tracer.h"

namespace upkeep::sqlite {

namespace {

constexpr unsigned kEvents = SQLITE_TRACE_STMT | SQLITE_TRACE_ROW | SQLITE_TRACE_PROFILE;

struct Tracers {
    std::mutex mutex;
    std::map<sqlite3*, Tracer*> by_connection;
    std::atomic<bool> takes_new{false};
};

/// Never destroyed: connections may still close while the process exits.
Tracers& TheTracers() {
    static Tracers& tracers = *new Tracers;
    return tracers;
}

std::mutex& TheMutex() {
    return TheTracers().mutex;
}

Tracer* FindTracer(sqlite3* db) {
    Tracers& tracers = TheTracers();
    const std::lock_guard lock(tracers.mutex);
    const auto found = tracers.by_connection.find(db);
    return found == tracers.by_connection.end() ? nullptr : found->second;
}

void NoFunction(sqlite3_context* context, int, sqlite3_value**) {
    sqlite3_result_error(context, "marks a connection that upkeep captures; not to be called", -1);
}

/// SQLite ends its functions last of all, after a close and the last open statement.
void Closed(void* own) {
    auto* tracer = static_cast<Tracer*>(own);
    {
        Tracers& tracers = TheTracers();
        const std::lock_guard lock(tracers.mutex);
        tracers.by_connection.erase(tracer->db);
    }
    if (tracer->is_on) {  // the application may have replaced our function: the connection lives on
        sqlite3_trace_v2(tracer->db, 0, nullptr, nullptr);
    }
    Failure failure;
    const auto save = [&] {
        if (!tracer->is_registered || tracer->capture == nullptr ||
            tracer->capture != TheCapture()) {
            return;
        }
        StoreBatches(*tracer);
        CountPending(*tracer);
        tracer->repeats.End(CaptureOf(*tracer), tracer->database);
        if (tracer->has_counted) {
            SaveAtClose(tracer->file);
        }
    };
    Guarded(&failure, save);  // a close must not fail; SaveAtClose has said why
    delete tracer;
}

/// The connection's tracer, made where need be. Throws Error.
Tracer& TracerOf(sqlite3* db) {
    if (Tracer* known = FindTracer(db)) {
        return *known;
    }
    auto* made = new Tracer;
    made->db = db;
    made->file = MainFile(db);
    // On failure SQLite calls Closed by itself.
    const int code =
        sqlite3_create_function_v2(db, "_upkeep_capture", 0, SQLITE_UTF8 | SQLITE_DIRECTONLY, made,
                                   NoFunction, nullptr, nullptr, Closed);
    if (code != SQLITE_OK) {
        throw HostError(db, code);
    }
    made->is_registered = true;
    Tracers& tracers = TheTracers();
    const std::lock_guard lock(tracers.mutex);
    tracers.by_connection[db] = made;
    return *made;
}

void Attach(sqlite3* db) {
    Capture& capture = MakeCapture();
    capture.Refresh();
    Tracer& tracer = TracerOf(db);
    if (tracer.capture != &capture) {  // new, or inherited by a fork
        tracer.hold.Leave();           // one that the child inherited nobody would leave
        tracer.capture = &capture;
        tracer.cache = {};
        tracer.text_cache = {};
        ForgetEntries(tracer);
        tracer.pending = {};
        tracer.endpoint.ForgetId();
        tracer.repeats = {};
        tracer.database = capture.DatabaseId(tracer.file);
        tracer.wall_ahead_us = WallClockUs() - static_cast<int64_t>(SteadyNs() / 1000);
        tracer.connection = RegisterConnection(db);
        tracer.thread = 0;
        static_cast<void>(ApplyFlushInterval());  // a new process: without a thread it saves later
    }
    const int code = sqlite3_trace_v2(db, kEvents, OnEvent, &tracer);
    if (code != SQLITE_OK) {
        throw HostError(db, code);
    }
    tracer.is_on = true;
    if (tracer.connection != nullptr) {
        tracer.connection->events.is_captured = true;
    }
}

int NewConnection(sqlite3* db, char**, const sqlite3_api_routines*) {
    if (private_openings == 0 && TheTracers().takes_new) {
        Failure failure;
        const auto attach = [&] { Attach(db); };
        Guarded(&failure, attach);  // capturing is ours, opening the user's: his goes on
    }
    return SQLITE_OK;
}

}  // namespace

void StartCapture(sqlite3* db) {
    if (sqlite3_api->trace_v2 == nullptr) {
        throw Error(Code::kUnsupported, "this SQLite was built without sqlite3_trace_v2",
                    "use one that was not built with SQLITE_OMIT_TRACE");
    }
    KeepUnlockedInChildren<TheMutex>();
    Attach(db);
    BeginIndexUse(db);
    TheTracers().takes_new = true;
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(NewConnection));
}

void StopCapture(sqlite3* db) {
    TheTracers().takes_new = false;
    Tracer* tracer = FindTracer(db);
    if (tracer == nullptr || !tracer->is_on) {
        return;
    }
    if (StateOfCapture(db) == CaptureState::kOn) {  // else the slot is another's
        sqlite3_trace_v2(db, 0, nullptr, nullptr);
    }
    if (tracer->capture == TheCapture()) {  // else a fork left it: the parent counts
        StoreBatches(*tracer);
        CountPending(*tracer);
        tracer->repeats.End(CaptureOf(*tracer), tracer->database);
    }
    tracer->is_on = false;
    if (tracer->connection != nullptr) {
        tracer->connection->events.is_captured = false;
    }
    ForgetEntries(*tracer);
}

void StoreAllBatches() {
    Tracers& tracers = TheTracers();
    const std::lock_guard lock(tracers.mutex);
    for (const auto& [db, tracer] : tracers.by_connection) {
        if (tracer->capture != nullptr && tracer->capture == TheCapture()) {
            StoreBatches(*tracer);
        }
    }
}

void SetEndpoint(sqlite3* db, const std::string& endpoint) {
    TracerOf(db).endpoint.Set(endpoint);
}

CaptureState StateOfCapture(sqlite3* db) {
    const Tracer* tracer = FindTracer(db);
    if (tracer == nullptr || !tracer->is_on || tracer->capture != TheCapture()) {
        return CaptureState::kOff;
    }
    // The statement that asks is running: had it not been shown to us, another would see it.
    return tracer->open > 0 ? CaptureState::kOn : CaptureState::kReplaced;
}

}  // namespace upkeep::sqlite
