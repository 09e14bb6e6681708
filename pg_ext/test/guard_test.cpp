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

struct ThrowingPort : Port {
    explicit ThrowingPort(std::string kind) : kind(std::move(kind)) {}
    std::string kind;

    int Step(int i) override {
        const Counted here;
        if (i < 3) {
            return 0;
        }
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
        if (kind == "division") {
            return CallHost([] { return DivideByZero(); });
        }
        if (kind == "notice") {
            CallHostVoid([] { ereport(NOTICE, (errmsg("a notice passes"))); });
            throw upkeep::Error(Code::kInvalidArgument, "after the notice");
        }
        if (kind == "wait") {  // ends by statement_timeout or a cancel only
            CallHostVoid([] {
                CHECK_FOR_INTERRUPTS();
                pg_usleep(200);
            });
            return 0;
        }
        if (kind == "subtransaction") {
            const auto result = upkeep::pg::InSubtransaction([] { return RunSql("SELECT 1/0"); });
            throw upkeep::Error(result.error().code(), "as a value: " + result.error().message());
        }
        if (kind == "subtransaction_cancel") {
            const auto result =
                upkeep::pg::InSubtransaction([] { return RunSql("SELECT pg_sleep(60)"); });
            throw upkeep::Error(Code::kInternal, "a cancel was swallowed");
        }
        if (kind == "subtransaction_write") {
            const auto result = upkeep::pg::InSubtransaction(
                [] { return RunSql("INSERT INTO guard_rows VALUES (1); SELECT 1/0"); });
            return result.ok() ? 1 : 0;
        }
        throw upkeep::Error(Code::kInvalidArgument, "unknown kind " + kind);
    }
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
        return Int32GetDatum(CoreWork(port));
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
