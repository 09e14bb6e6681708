// SQLite's bodies for the workflow topic.
// SPDX-License-Identifier: PostgreSQL
#include <utility>

#include "adapter.h"
#include "stmt.h"
#include "upkeep/workflow/install.h"
#include "workflow_schema.h"

namespace upkeep::sqlite {

namespace {

/// All or nothing, whether or not the caller has a transaction.
class Savepoint {
  public:
    explicit Savepoint(sqlite3* db) : db_(db) {
        // Not Stmt::Run: this one failure needs a hint of its own.
        if (sqlite3_exec(db, "SAVEPOINT upkeep_install", nullptr, nullptr, nullptr) != SQLITE_OK) {
            throw Error(Code::kHost, sqlite3_errmsg(db),
                        "call it in a SELECT of its own, while no statement that writes runs");
        }
    }
    Savepoint(const Savepoint&) = delete;
    Savepoint& operator=(const Savepoint&) = delete;
    ~Savepoint() {
        if (!is_released_) {  // what went wrong is already on its way
            sqlite3_exec(db_, "ROLLBACK TO upkeep_install; RELEASE upkeep_install", nullptr,
                         nullptr, nullptr);
        }
    }
    void Release() {
        Stmt(db_, "RELEASE upkeep_install").Run();
        is_released_ = true;
    }

  private:
    sqlite3* db_;
    bool is_released_ = false;
};

Result<void> InstallWorkflowSchemaCall(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    const auto request =
        workflow::ReadInstallRequest(arguments, workflow::SchemaHost::kSqlite).OrThrow();
    Savepoint savepoint(db);
    const workflow::InstallFacts facts = GatherInstallFacts(db, request);
    const auto steps = workflow::PlanInstallation(request, facts).OrThrow();
    for (const workflow::InstallStep& step : steps) {
        if (!step.sql.empty()) {
            Stmt(db, step.sql).Run();
        }
    }
    savepoint.Release();
    for (const workflow::InstallStep& step : steps) {
        rows.Add({step.object_type, step.object_name, step.action});
    }
    return {};
}

constexpr Body kBodies[] = {
    {.call = "install_workflow_schema", .rows = InstallWorkflowSchemaCall},
};

}  // namespace

std::span<const Body> WorkflowBodies() {
    return kBodies;
}

}  // namespace upkeep::sqlite
