// SPDX-License-Identifier: PostgreSQL
#include "upkeep/workflow/install.h"

#include <algorithm>
#include <utility>

#include "schema_text.h"
#include "upkeep/base/text.h"

namespace upkeep::workflow {

namespace {

constexpr std::string_view kAlembicTable = "alembic_version";
constexpr size_t kMostDifferences = 6;  // named in one error; PostgreSQL's text ends at 1 kB
constexpr size_t kMostShownBytes = 60;  // of one definition or name

std::string Shown(std::string_view text) {
    const std::string_view shown = Clip(text, kMostShownBytes);
    return std::string(shown) + (shown.size() < text.size() ? "…" : "");
}

const RelationFact* Find(const InstallFacts& facts, std::string_view name) {
    const auto found = std::find_if(facts.relations.begin(), facts.relations.end(),
                                    [=](const RelationFact& one) { return one.name == name; });
    return found == facts.relations.end() ? nullptr : &*found;
}

std::string Definition(std::string_view type, bool is_not_null, std::string_view initial) {
    return std::string(type) + (is_not_null ? " NOT NULL" : "") +
           (initial.empty() ? "" : " DEFAULT " + std::string(initial));
}

/// What of `wanted` is not so in `found`. Columns and constraints beside ours are the user's own.
void CompareTable(SchemaHost host, const SchemaTable& wanted, const RelationFact& found,
                  std::vector<std::string>* out) {
    const std::string where = "table " + found.name;
    if (found.kind != "table") {
        out->push_back(found.name + " is a " + found.kind);
        return;
    }
    for (const SchemaColumn& column : wanted.columns) {
        const auto fact =
            std::find_if(found.columns.begin(), found.columns.end(),
                         [&](const ColumnFact& one) { return one.name == column.name; });
        if (fact == found.columns.end()) {
            out->push_back(where + " has no column " + std::string(column.name));
            continue;
        }
        const std::string ours =
            Definition(TypeText(host, column), !column.is_nullable, InitialText(host, column));
        const std::string theirs = Definition(fact->type, fact->is_not_null, fact->initial);
        if (Bare(ours) != Bare(theirs)) {
            out->push_back(where + ": column " + std::string(column.name) + " is " + Shown(theirs) +
                           ", not " + Shown(ours));
        }
    }
    std::vector<std::string> bare;
    for (const std::string& constraint : found.constraints) {
        bare.push_back(Bare(constraint));
    }
    std::vector<std::string> constraints = ConstraintTexts(host, wanted, true);
    if (host == SchemaHost::kSqlite) {
        constraints.emplace_back("STRICT");
    }
    for (const std::string& constraint : constraints) {
        if (std::find(bare.begin(), bare.end(), Bare(constraint)) == bare.end()) {
            out->push_back(where + " lacks " + Shown(constraint));
        }
    }
}

void CompareIndex(SchemaHost host, const SchemaIndex& wanted, const RelationFact& found,
                  std::vector<std::string>* out) {
    const std::string where = "index " + found.name;
    const std::string ours = IndexText(host, wanted, true);
    if (found.kind != "index") {
        out->push_back(found.name + " is a " + found.kind);
    } else if (found.table != wanted.table) {
        out->push_back(where + " is on " + Shown(found.table) + ", not on " +
                       std::string(wanted.table));
    } else if (Bare(found.definition) != Bare(ours)) {
        out->push_back(where + " is " + Shown(found.definition) + ", not " +
                       Shown(IndexText(host, wanted, false)));
    } else if (!found.is_valid) {
        out->push_back(where + " is invalid (REINDEX or drop it)");
    }
}

bool Supports(SchemaHost host, const SchemaIndex& index) {
    return host == SchemaHost::kPostgres || !index.is_gin;
}

/// What differs from `profile`; `matches` counts what exists and does not.
std::vector<std::string> Differences(SchemaHost host, const SchemaProfile& profile,
                                     const InstallFacts& facts, size_t* matches) {
    std::vector<std::string> out;
    size_t found = 0;
    size_t differing = 0;
    const auto count = [&](size_t before) {
        ++found;
        differing += out.size() > before ? 1 : 0;
    };
    for (const SchemaTable& table : profile.tables) {
        if (const RelationFact* fact = Find(facts, table.name)) {
            const size_t before = out.size();
            CompareTable(host, table, *fact, &out);
            count(before);
        }
    }
    for (const SchemaIndex& index : profile.indexes) {
        const RelationFact* fact = Supports(host, index) ? Find(facts, index.name) : nullptr;
        if (fact != nullptr) {
            const size_t before = out.size();
            CompareIndex(host, index, *fact, &out);
            count(before);
        }
    }
    *matches = found - differing;
    return out;
}

Error RefuseShape(const InstallRequest& request, const InstallFacts& facts,
                  const std::vector<std::string>& differences) {
    std::string list;
    for (size_t i = 0; i < std::min(differences.size(), kMostDifferences); ++i) {
        list += (i == 0 ? "" : "; ") + differences[i];
    }
    if (differences.size() > kMostDifferences) {
        list += "; and " + std::to_string(differences.size() - kMostDifferences) + " more";
    }
    const bool postgres = request.host == SchemaHost::kPostgres;
    std::string hint = postgres ? "install into another schema (target_schema), or rename what is "
                                  "there; nothing was changed"
                                : "install into another attached database (target_schema), or "
                                  "rename what is there; nothing was changed";
    for (const SchemaProfile& other : SchemaProfiles()) {
        size_t matches = 0;
        if (&other != request.profile &&
            Differences(request.host, other, facts, &matches).empty() &&
            matches >= other.tables.size()) {
            hint.insert(0, ": ")
                .insert(0, other.name)
                .insert(0, "these are the tables of profile ");
        }
    }
    return {Code::kInvalidArgument,
            (postgres ? "schema " : "database ") + QuotedName(Shown(request.schema)) +
                " holds objects of the same names with another shape: " + list,
            hint};
}

Result<void> CheckAlembic(const InstallFacts& facts, std::string_view revision) {
    const RelationFact* fact = Find(facts, kAlembicTable);
    if (fact == nullptr) {
        return {};
    }
    const bool has_column =
        std::any_of(fact->columns.begin(), fact->columns.end(),
                    [](const ColumnFact& one) { return one.name == "version_num"; });
    if (fact->kind != "table" || !has_column) {
        return Error(Code::kInvalidArgument,
                     "alembic_version is not a table with a column version_num",
                     "leave stamp_alembic out, or rename it; nothing was changed");
    }
    for (const std::string& held : facts.revisions) {
        if (held != revision) {
            return Error(Code::kInvalidArgument,
                         "alembic_version holds revision \"" + Shown(held) + "\", not " +
                             std::string(revision),
                         "these tables stand for the head of the engine's migrations: bring the "
                         "row to it with alembic, or leave stamp_alembic out; nothing was changed");
        }
    }
    return {};
}

InstallStep Step(std::string_view type, std::string_view name, bool exists, std::string sql) {
    return {std::string(type), std::string(name), exists ? "exists" : "created",
            exists ? std::string() : std::move(sql)};
}

void AddAlembic(const InstallRequest& request, const InstallFacts& facts,
                std::vector<InstallStep>* out) {
    const std::string table = QuotedName(request.schema) + "." + std::string(kAlembicTable);
    const std::string revision(request.profile->head_revision);
    // As alembic itself would make it, in both hosts.
    out->push_back(Step("table", kAlembicTable, Find(facts, kAlembicTable) != nullptr,
                        "CREATE TABLE " + table +
                            " (version_num VARCHAR(32) NOT NULL, "
                            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"));
    out->push_back(Step("revision", revision, !facts.revisions.empty(),
                        "INSERT INTO " + table + " (version_num) VALUES ('" + revision + "')"));
}

std::vector<InstallStep> Steps(const InstallRequest& request, const InstallFacts& facts) {
    const SchemaProfile& profile = *request.profile;
    std::vector<InstallStep> out;
    for (const SchemaTable& table : profile.tables) {
        out.push_back(Step("table", table.name, Find(facts, table.name) != nullptr,
                           CreateTableSql(request.host, request.schema, table)));
    }
    for (const SchemaIndex& index : profile.indexes) {
        if (!Supports(request.host, index)) {
            out.push_back(
                {"index", std::string(index.name), "not supported: no GIN in SQLite", ""});
            continue;
        }
        out.push_back(Step("index", index.name, Find(facts, index.name) != nullptr,
                           CreateIndexSql(request.host, request.schema, index)));
    }
    for (const IndexFate& fate : profile.fates) {
        out.push_back({"index", std::string(fate.guide_name), std::string(fate.action), ""});
    }
    if (request.stamps_alembic) {
        AddAlembic(request, facts, &out);
    }
    return out;
}

/// May the caller do what is to be done? Said before anything is done.
Result<void> CheckRights(const InstallRequest& request, const InstallFacts& facts,
                         const std::vector<InstallStep>& steps) {
    const bool creates = std::any_of(steps.begin(), steps.end(), [](const InstallStep& step) {
        return step.object_type != "revision" && !step.sql.empty();
    });
    if (creates && !facts.may_create) {
        const std::string schema = QuotedName(Shown(request.schema));
        return Error(Code::kPermissionDenied, "permission denied for schema " + schema,
                     "GRANT USAGE, CREATE ON SCHEMA " + schema + " to the caller, or name another");
    }
    for (const SchemaIndex& index : request.profile->indexes) {
        const RelationFact* table = Find(facts, index.table);
        if (table != nullptr && !table->is_own && Supports(request.host, index) &&
            Find(facts, index.name) == nullptr) {
            return Error(Code::kPermissionDenied,
                         "must be owner of table " + table->name + " to add index " +
                             std::string(index.name),
                         "call this as the owner of the tables");
        }
    }
    return {};
}

bool IsSystemSchema(SchemaHost host, const std::string& schema) {
    return host == SchemaHost::kPostgres
               // Our own goes with the extension, and nothing but the extension belongs in it.
               ? schema.rfind("pg_", 0) == 0 || schema == "information_schema" || schema == "upkeep"
               : Bare(schema) == "temp";
}

}  // namespace

Result<InstallRequest> ReadInstallRequest(const Arguments& arguments, SchemaHost host) {
    InstallRequest request;
    request.host = host;
    request.schema = arguments.Text("target_schema");
    request.profile = FindSchemaProfile(arguments.Text("profile"));
    request.stamps_alembic = arguments.Bool("stamp_alembic");
    if (request.profile == nullptr) {
        return Error(Code::kInvalidArgument,
                     "unknown profile \"" + Shown(arguments.Text("profile")) + "\"",
                     "profiles: corrected (the engine's tables), guide (the guide's own)");
    }
    if (request.stamps_alembic && request.profile->head_revision.empty()) {
        return Error(Code::kInvalidArgument,
                     "stamp_alembic does not go with profile " + std::string(request.profile->name),
                     "no migration of the engine makes these tables: leave it out, or install "
                     "profile corrected");
    }
    if (IsSystemSchema(host, request.schema)) {
        return Error(Code::kInvalidArgument,
                     "target_schema must not be " + QuotedName(Shown(request.schema)),
                     "name a schema for ordinary, lasting tables");
    }
    return request;
}

std::vector<std::string> InstallNames(const InstallRequest& request) {
    std::vector<std::string> names;
    // All profiles, so that a refusal can say whose tables these are.
    for (const SchemaProfile& profile : SchemaProfiles()) {
        for (const SchemaTable& table : profile.tables) {
            names.emplace_back(table.name);
        }
        for (const SchemaIndex& index : profile.indexes) {
            names.emplace_back(index.name);
        }
    }
    if (request.stamps_alembic) {
        names.emplace_back(kAlembicTable);
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

Result<std::vector<InstallStep>> PlanInstallation(const InstallRequest& request,
                                                  const InstallFacts& facts) {
    size_t matches = 0;
    const std::vector<std::string> differences =
        Differences(request.host, *request.profile, facts, &matches);
    if (!differences.empty()) {
        return RefuseShape(request, facts, differences);
    }
    if (request.stamps_alembic) {
        const Result<void> alembic = CheckAlembic(facts, request.profile->head_revision);
        if (!alembic.ok()) {
            return alembic.error();
        }
    }
    std::vector<InstallStep> steps = Steps(request, facts);
    const Result<void> rights = CheckRights(request, facts, steps);
    if (!rights.ok()) {
        return rights.error();
    }
    return steps;
}

}  // namespace upkeep::workflow
