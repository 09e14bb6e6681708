// The workflow topic.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "host_query.h"
#include "upkeep/workflow/install.h"
#include "workflow_schema.h"

UPKEEP_ROWS(install_workflow_schema) {
    using upkeep::workflow::SchemaHost;
    const auto request =
        upkeep::workflow::ReadInstallRequest(arguments, SchemaHost::kPostgres).OrThrow();
    const auto facts = upkeep::pg::GatherInstallFacts(request);
    for (const auto& step : upkeep::workflow::PlanInstallation(request, facts).OrThrow()) {
        if (!step.sql.empty()) {
            upkeep::pg::RunSql(step.sql);
        }
        rows.Add({step.object_type, step.object_name, step.action});
    }
}
