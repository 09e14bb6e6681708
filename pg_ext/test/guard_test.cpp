// Throws every kind of exception and raises every kind of host error in the middle of core code.
// SPDX-License-Identifier: PostgreSQL
#include <unistd.h>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "error_path.h"
#include "guard.h"

extern "C" {
#include "executor/spi.h"
PG_MODULE_MAGIC;
}

namespace {

using upkeep::Code;
using upkeep::pg::CallHost;
using upkeep::pg::CallHostVoid;

int DivideByZero() {
    DirectFunctionCall2(int4div, Int32GetDatum(1), Int32GetDatum(0));
    return 0;
}

int RunSql(const char* sql) {
    if (SPI_connect() != SPI_OK_CONNECT) {
        elog(ERROR, "SPI_connect failed");
    }
    SPI_execute(sql, false, 0);
    SPI_finish();
    return 0;
}

int RaiseState(const char* sqlstate) {
    ereport(
        ERROR,
        (errcode(MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3], sqlstate[4])),
         errmsg("raised: %s", sqlstate), errhint("the host's hint")));
    return 0;
}

struct ThrowingPort : Port {
    explicit ThrowingPort(std::string kind) : kind(std::move(kind)) {}
    std::string kind;

    /// The first steps are ordinary work; the fourth does what `kind` says.
    int Step(int i) override {
        const Counted here;
        if (i < 3) {
            return 0;
        }
        ThrowFromCore();
        if (kind == "wait") {  // ends by a timeout, a cancel or the end of the session only
            CallHostVoid([] {
                CHECK_FOR_INTERRUPTS();
                pg_usleep(200);
            });
            return 0;
        }
        RaiseFromHost();
        GoOnAfterError();
        throw upkeep::Error(Code::kInvalidArgument, "unknown kind " + kind);
    }

    void ThrowFromCore() const {
        static const std::pair<const char*, Code> kCodes[] = {
            {"invalid_argument", Code::kInvalidArgument},
            {"not_found", Code::kNotFound},
            {"permission", Code::kPermissionDenied},
            {"unsupported", Code::kUnsupported},
            {"busy", Code::kBusy},
            {"interrupted", Code::kInterrupted},
            {"host", Code::kHost},
            {"internal", Code::kInternal}};
        for (const auto& [name, code] : kCodes) {
            if (kind == name) {
                throw upkeep::Error(code, "thrown: " + kind, "the hint of " + kind);
            }
        }
        if (kind == "long") {
            throw upkeep::Error(Code::kInvalidArgument, std::string(1022, 'x') + "ü and more",
                                std::string(3000, 'h'));
        }
        if (kind == "bad_alloc") {
            throw std::bad_alloc();
        }
        if (kind == "runtime_error") {
            throw std::runtime_error("a runtime error with % signs");
        }
        if (kind == "int") {
            throw 42;
        }
    }

    void RaiseFromHost() const {
        if (kind == "division") {
            CallHost([] { return DivideByZero(); });
        }
        if (kind == "palloc") {
            CallHost([] { return palloc(MaxAllocSize + Size{1}); });
        }
        if (kind == "sql") {
            CallHost([] { return RunSql("SELECT 1/0"); });
        }
        if (kind == "notice") {
            CallHostVoid([] { ereport(NOTICE, (errmsg("a notice passes"))); });
            throw upkeep::Error(Code::kInvalidArgument, "after the notice");
        }
        if (kind.starts_with("raise ")) {
            const char* sqlstate = kind.c_str() + 6;
            CallHost([=] { return RaiseState(sqlstate); });
        }
        if (kind.starts_with("run ")) {
            const char* sql = kind.c_str() + 4;
            CallHost([=] { return RunSql(sql); });
            throw upkeep::Error(Code::kInternal, "the statement raised nothing");
        }
    }

    void GoOnAfterError() const {
        if (kind.starts_with("value ")) {
            const char* sqlstate = kind.c_str() + 6;
            const auto result = upkeep::pg::InSubtransaction([=] { return RaiseState(sqlstate); });
            throw upkeep::Error(result.error().code(), "as a value: " + result.error().message(),
                                result.error().hint());
        }
        if (kind.starts_with("try ")) {
            const char* sql = kind.c_str() + 4;
            const auto result = upkeep::pg::InSubtransaction([=] { return RunSql(sql); });
            throw Done{result.ok() ? "ran" : "did not run: " + result.error().message()};
        }
    }

    /// Ends the work without an error.
    struct Done {
        std::string text;
    };
};

std::string KindOf(FunctionCallInfo fcinfo) {
    const Datum argument = fcinfo->args[0].value;
    return CallHost([=] { return TextDatumGetCString(argument); });
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(upkeep_guard_throw);
PGDLLEXPORT Datum upkeep_guard_throw(PG_FUNCTION_ARGS) {
    return upkeep::pg::Enter(fcinfo, [](FunctionCallInfo info) {
        ThrowingPort port(KindOf(info));
        try {
            CoreWork(port);
        } catch (const ThrowingPort::Done& done) {
            const char* text = done.text.c_str();
            return CallHost([=] { return CStringGetTextDatum(text); });
        }
        throw upkeep::Error(Code::kInternal, "nothing was thrown");
    });
}

PG_FUNCTION_INFO_V1(upkeep_guard_alive);
PGDLLEXPORT Datum upkeep_guard_alive(PG_FUNCTION_ARGS) {
    return upkeep::pg::Enter(fcinfo, [](FunctionCallInfo) { return Int64GetDatum(live_objects); });
}

PG_FUNCTION_INFO_V1(upkeep_guard_resident_kb);
PGDLLEXPORT Datum upkeep_guard_resident_kb(PG_FUNCTION_ARGS) {
    return upkeep::pg::Enter(fcinfo, [](FunctionCallInfo) {
        long total = 0;
        long resident = 0;
        FILE* file = std::fopen("/proc/self/statm", "r");
        if (file == nullptr || std::fscanf(file, "%ld %ld", &total, &resident) != 2) {
            resident = -1;
        }
        if (file != nullptr) {
            std::fclose(file);
        }
        return Int64GetDatum(resident * (sysconf(_SC_PAGESIZE) / 1024));
    });
}
}
