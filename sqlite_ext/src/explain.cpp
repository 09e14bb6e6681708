// SPDX-License-Identifier: PostgreSQL
#include "explain.h"

#include <string>
#include <utility>

#include "run_guard.h"
#include "stmt.h"

namespace upkeep::sqlite {

namespace {

class SqliteRunner : public advisor::Runner {
  public:
    SqliteRunner(sqlite3* db, advisor::WhatIf& port) : db_(db), port_(port) {}

    double ClockMs() override { return NowMs(); }

    Result<advisor::Ran> Run(std::string_view statement) override {
        if (sqlite3_api->progress_handler == nullptr) {  // left out of some builds
            return Error(Code::kUnsupported,
                         "this SQLite has no progress handler, so a run could not be stopped",
                         kLeaveRunOut);
        }
        const PrivateConnection own = OpenReadOnly(db_);
        Permit permit;
        permit.functions = ReadFunctions(own.get());
        // A virtual table declares itself when it is first met, which looks like writing.
        permit.is_connecting = HasOwnModulesOnly(own.get());
        sqlite3_set_authorizer(own.get(), Authorize, &permit);
        Watch watch{port_, NowMs() + advisor::kRunLimitMs};
        sqlite3_progress_handler(own.get(), kStepsBetweenLooks, Look, &watch);
        advisor::Ran ran;
        Result<Stmt> prepared = Stmt::Prepare(own.get(), statement);
        permit.is_connecting = false;
        const double start = NowMs();
        if (prepared.ok()) {
            prepared = Stmt::Prepare(own.get(), statement);
        }
        ran.planning_ms = NowMs() - start;
        if (!prepared.ok()) {
            return Refusal(prepared.error(), permit);
        }
        sqlite3_stmt* stmt = prepared.value().get();
        if (sqlite3_bind_parameter_count(stmt) > 0) {
            return Error(Code::kInvalidArgument,
                         "a statement with parameters cannot be run without their values",
                         "write the values into the text, or leave run out");
        }
        if (sqlite3_stmt_readonly(stmt) == 0) {
            return Error(Code::kInvalidArgument, "a statement that writes is planned, never run",
                         kLeaveRunOut);
        }
        return Execute(&prepared.value(), watch, permit, std::move(ran));
    }

  private:
    static Result<advisor::Ran> Execute(Stmt* stmt, const Watch& watch, const Permit& permit,
                                        advisor::Ran ran) {
        double returned = 0;
        const double start = NowMs();
        try {
            while (stmt->Step()) {
                ++returned;
            }
        } catch (const Error& error) {
            if (watch.is_over) {
                return Error(Code::kInterrupted,
                             "the statement was stopped after " +
                                 std::to_string(advisor::kRunLimitMs / 1000) + " s",
                             "leave run out, or explain a smaller range of rows");
            }
            return Refusal(error, permit);
        }
        ran.execution_ms = NowMs() - start;
        ran.returned_rows = returned;
        // A 32-bit counter that wraps; in 30 s it does not come round.
        ran.scanned_rows = static_cast<double>(static_cast<unsigned>(
            sqlite3_stmt_status(stmt->get(), SQLITE_STMTSTATUS_FULLSCAN_STEP, 0)));
        return ran;
    }

    sqlite3* db_;
    advisor::WhatIf& port_;
};

}  // namespace

std::unique_ptr<advisor::Runner> MakeRunner(sqlite3* db, advisor::WhatIf& port) {
    return std::make_unique<SqliteRunner>(db, port);
}

}  // namespace upkeep::sqlite
