// The workflow topic's calls.
// SPDX-License-Identifier: PostgreSQL
#include "../base/calls.h"

namespace upkeep {

namespace {

constexpr Parameter kInstallParameters[] = {
    {"target_schema", Type::kText, "public",
     "schema (SQLite: attached database) that gets the tables", "main"},
    {"profile", Type::kText, "corrected", "corrected, or guide (the guide's own five tables)"},
    {"stamp_alembic", Type::kBool, "false",
     "also write the head of the engine's migrations into alembic_version"},
};

constexpr Column kInstallColumns[] = {
    {"object_type", Type::kText, "table, index, revision, extension"},
    {"object_name", Type::kText, "its name"},
    {"action", Type::kText, "created, exists, kept, replaced by …, dropped: …, opt-in, …"},
};

constexpr TableFunction kCalls[] = {
    {.name = "install_workflow_schema",
     .topic = "workflow",
     .kind = CallKind::kFunction,
     .hosts = Hosts::kBoth,
     .effect = Effect::kActs,
     .doc = "creates the workflow tables and indexes as ordinary objects; twice changes nothing",
     .since = "0.1.0",
     .parameters = kInstallParameters,
     .columns = kInstallColumns},
};

}  // namespace

std::span<const TableFunction> WorkflowCalls() {
    return kCalls;
}

}  // namespace upkeep
