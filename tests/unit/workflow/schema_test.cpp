// The schema's words for both hosts, and the plan over facts that a fake host reports.
// SPDX-License-Identifier: PostgreSQL
#include "upkeep/workflow/schema.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "upkeep/workflow/install.h"
#include "workflow/schema_text.h"

namespace upkeep::workflow {
namespace {

constexpr SchemaHost kHosts[] = {SchemaHost::kPostgres, SchemaHost::kSqlite};

/// What a host's catalog says right after an installation.
InstallFacts Installed(SchemaHost host, const SchemaProfile& profile) {
    InstallFacts facts;
    for (const SchemaTable& table : profile.tables) {
        RelationFact fact;
        fact.name = table.name;
        fact.kind = "table";
        for (const SchemaColumn& column : table.columns) {
            fact.columns.push_back({std::string(column.name), TypeText(host, column),
                                    !column.is_nullable, InitialText(host, column)});
        }
        fact.constraints = ConstraintTexts(host, table, true);
        if (host == SchemaHost::kSqlite) {
            fact.constraints.emplace_back("STRICT");
        }
        facts.relations.push_back(fact);
    }
    for (const SchemaIndex& index : profile.indexes) {
        if (host == SchemaHost::kSqlite && index.is_gin) {
            continue;
        }
        RelationFact fact;
        fact.name = index.name;
        fact.kind = "index";
        fact.table = index.table;
        fact.definition = IndexText(host, index, true);
        facts.relations.push_back(fact);
    }
    return facts;
}

RelationFact& Get(InstallFacts& facts, std::string_view name) {
    return *std::find_if(facts.relations.begin(), facts.relations.end(),
                         [=](const RelationFact& one) { return one.name == name; });
}

void Remove(InstallFacts& facts, std::string_view name) {
    std::erase_if(facts.relations, [=](const RelationFact& one) { return one.name == name; });
}

InstallRequest Request(SchemaHost host, std::string_view profile = "corrected") {
    return {host, FindSchemaProfile(profile), "app", false};
}

/// The error's sentence; fails if there is a plan.
std::string Refusal(const InstallRequest& request, const InstallFacts& facts) {
    const auto plan = PlanInstallation(request, facts);
    EXPECT_FALSE(plan.ok());
    return plan.ok() ? "" : plan.error().message();
}

std::map<std::string, int> Actions(const std::vector<InstallStep>& steps) {
    std::map<std::string, int> out;
    for (const InstallStep& step : steps) {
        ++out[step.action];
    }
    return out;
}

TEST(SchemaTest, ProfilesAreFoundByName) {
    EXPECT_EQ(FindSchemaProfile("corrected")->tables.size(), 9U);
    EXPECT_EQ(FindSchemaProfile("corrected")->indexes.size(), 16U);
    EXPECT_EQ(FindSchemaProfile("guide")->tables.size(), 5U);
    EXPECT_EQ(FindSchemaProfile("guide")->indexes.size(), 18U);
    EXPECT_EQ(FindSchemaProfile("Corrected"), nullptr);
    EXPECT_EQ(FindSchemaProfile(""), nullptr);
}

TEST(SchemaTest, EveryIndexOfTheGuideHasAFate) {
    const SchemaProfile& guide = *FindSchemaProfile("guide");
    const SchemaProfile& corrected = *FindSchemaProfile("corrected");
    ASSERT_EQ(corrected.fates.size(), guide.indexes.size());
    for (const SchemaIndex& index : guide.indexes) {
        EXPECT_TRUE(
            std::any_of(corrected.fates.begin(), corrected.fates.end(),
                        [&](const IndexFate& fate) { return fate.guide_name == index.name; }))
            << index.name;
    }
}

TEST(SchemaTest, IndexesStandOnColumnsOfTheirTables) {
    for (const SchemaProfile& profile : SchemaProfiles()) {
        for (const SchemaIndex& index : profile.indexes) {
            const auto table =
                std::find_if(profile.tables.begin(), profile.tables.end(),
                             [&](const SchemaTable& one) { return one.name == index.table; });
            ASSERT_NE(table, profile.tables.end()) << index.name;
            const std::string_view first =
                index.columns.substr(0, index.columns.find_first_of(" ,"));
            EXPECT_TRUE(std::any_of(table->columns.begin(), table->columns.end(),
                                    [=](const SchemaColumn& one) { return one.name == first; }))
                << index.name;
        }
    }
}

TEST(SchemaTest, WritesPostgresTables) {
    const SchemaTable& actions = FindSchemaProfile("corrected")->tables[2];
    EXPECT_EQ(
        CreateTableSql(SchemaHost::kPostgres, "a\"b", actions),
        "CREATE TABLE \"a\"\"b\".workflow_actions (\n"
        "    id uuid NOT NULL DEFAULT (gen_random_uuid()),\n"
        "    workflow_id uuid NOT NULL,\n"
        "    action_type character varying(100) NOT NULL,\n"
        "    action_name character varying(255) NOT NULL,\n"
        "    config jsonb NOT NULL DEFAULT '{}',\n"
        "    order_index integer NOT NULL,\n"
        "    conditions jsonb,\n"
        "    created_at timestamp with time zone NOT NULL DEFAULT (now()),\n"
        "    updated_at timestamp with time zone NOT NULL DEFAULT (now()),\n"
        "    PRIMARY KEY (id),\n"
        "    UNIQUE (workflow_id, order_index),\n"
        "    FOREIGN KEY (workflow_id) REFERENCES \"a\"\"b\".workflows(id) ON DELETE CASCADE,\n"
        "    CHECK (order_index >= 0)\n)");
}

TEST(SchemaTest, WritesSqliteTables) {
    const std::string sql =
        CreateTableSql(SchemaHost::kSqlite, "main", FindSchemaProfile("corrected")->tables[6]);
    EXPECT_NE(sql.find("CREATE TABLE \"main\".workflow_triggers ("), std::string::npos);
    EXPECT_NE(sql.find("enabled INTEGER NOT NULL DEFAULT 1,"), std::string::npos);
    EXPECT_NE(sql.find("CHECK (enabled IN (0, 1))"), std::string::npos);
    EXPECT_NE(sql.find("CHECK (json_valid(conditions))"), std::string::npos);
    EXPECT_NE(sql.find("REFERENCES workflows(id) ON DELETE CASCADE"), std::string::npos);
    EXPECT_TRUE(sql.ends_with(") STRICT"));
}

TEST(SchemaTest, WritesIndexes) {
    const SchemaIndex live = FindSchemaProfile("corrected")->indexes[4];
    EXPECT_EQ(CreateIndexSql(SchemaHost::kPostgres, "public", live),
              "CREATE INDEX idx_workflow_executions_live ON \"public\".workflow_executions USING "
              "btree (started_at) WHERE status IN ('pending', 'running')");
    EXPECT_EQ(CreateIndexSql(SchemaHost::kSqlite, "main", live),
              "CREATE INDEX \"main\".idx_workflow_executions_live ON workflow_executions "
              "(started_at) WHERE status IN ('pending', 'running')");
    const SchemaProfile& guide = *FindSchemaProfile("guide");
    EXPECT_EQ(IndexText(SchemaHost::kPostgres, guide.indexes[2], false), "gin (config)");
    EXPECT_EQ(IndexText(SchemaHost::kPostgres, guide.indexes[17], false),
              "btree (integration_id, \"timestamp\")");
    EXPECT_EQ(IndexText(SchemaHost::kSqlite, guide.indexes[17], false),
              "(integration_id, timestamp)");
}

TEST(SchemaTest, BareTextsOfFreshAndRestoredConstraintsAreEqual) {
    const std::string ours = Bare("CHECK (status = ANY (ARRAY['a b', 'C']))");
    EXPECT_EQ(Bare("CHECK (((status)::text = ANY ((ARRAY['a b'::character varying, "
                   "'C'::character varying])::text[])))"),
              ours);
    EXPECT_EQ(Bare("CHECK (((status)::text = ANY (ARRAY[('a b'::character varying)::text, "
                   "('C'::character varying)::text])))"),
              ours);
    EXPECT_NE(Bare("CHECK (status = ANY (ARRAY['a b', 'c']))"), ours);
    EXPECT_NE(Bare("CHECK (status = ANY (ARRAY['ab', 'C']))"), ours);
    EXPECT_EQ(Bare("'x'::character varying(50)"), "'x'");
    EXPECT_EQ(Bare("'2020-01-01'::timestamp with time zone"), "'2020-01-01'");
    EXPECT_EQ(Bare("'{}'::pg_catalog.jsonb[]"), "'{}'");
    EXPECT_EQ(Bare("'open"), "'open");
    EXPECT_EQ(Bare("x::"), "x");
    EXPECT_EQ(Bare("x::numeric(3"), "x");
}

TEST(SchemaTest, FindsChecksInSqliteTexts) {
    const auto checks = SqliteChecks(
        "CREATE TABLE t(a TEXT DEFAULT 'check (1)' check(a <> ')'), -- check (2)\n"
        " \"check\" INT, recheck INT, /* CHECK (3) */ b, CHECK\n (b IN (1, (2))), [check] INT)");
    ASSERT_EQ(checks.size(), 2U);
    EXPECT_EQ(checks[0], "CHECK (a <> ')')");
    EXPECT_EQ(checks[1], "CHECK (b IN (1, (2)))");
    EXPECT_TRUE(SqliteChecks("").empty());
    EXPECT_TRUE(SqliteChecks("CREATE TABLE t(a, CHECK").empty());
    EXPECT_EQ(SqliteChecks("CREATE TABLE t(a, CHECK (a").size(), 1U);  // cut off: no hang
}

TEST(InstallTest, PlansEverythingOnAnEmptySchema) {
    for (const SchemaHost host : kHosts) {
        const auto plan = PlanInstallation(Request(host), {}).OrThrow();
        const auto actions = Actions(plan);
        EXPECT_EQ(actions.at("created"), 25);
        EXPECT_EQ(actions.at("kept"), 3);
        EXPECT_EQ(plan.size(), 25U + 18U);
        for (const InstallStep& step : plan) {
            EXPECT_EQ(step.sql.empty(), step.action != "created") << step.object_name;
        }
        EXPECT_EQ(plan[0].object_name, "workflows");
        EXPECT_EQ(plan[9].object_type, "index");
    }
}

TEST(InstallTest, SaysWhereSqliteHasNoGin) {
    const auto plan = PlanInstallation(Request(SchemaHost::kSqlite, "guide"), {}).OrThrow();
    EXPECT_EQ(Actions(plan).at("not supported: no GIN in SQLite"), 1);
    EXPECT_EQ(Actions(plan).at("created"), 22);
    const auto postgres = PlanInstallation(Request(SchemaHost::kPostgres, "guide"), {}).OrThrow();
    EXPECT_EQ(Actions(postgres).at("created"), 23);
}

TEST(InstallTest, SecondInstallationChangesNothing) {
    for (const SchemaHost host : kHosts) {
        for (const SchemaProfile& profile : SchemaProfiles()) {
            InstallFacts facts = Installed(host, profile);
            facts.may_create = false;  // nothing to create: no right needed
            for (const InstallStep& step :
                 PlanInstallation(Request(host, profile.name), facts).OrThrow()) {
                EXPECT_TRUE(step.sql.empty()) << step.object_name;
                EXPECT_NE(step.action, "created") << step.object_name;
            }
        }
    }
}

TEST(InstallTest, CompletesWhatIsThereInPart) {
    for (const SchemaHost host : kHosts) {
        InstallFacts facts = Installed(host, *FindSchemaProfile("corrected"));
        Remove(facts, "execution_logs");
        Remove(facts, "idx_execution_logs_errors");
        Remove(facts, "idx_workflows_created_at");
        const auto plan = PlanInstallation(Request(host), facts).OrThrow();
        EXPECT_EQ(Actions(plan).at("created"), 3);
        EXPECT_EQ(Actions(plan).at("exists"), 22);
    }
}

TEST(InstallTest, TheUsersOwnColumnsAndConstraintsStay) {
    for (const SchemaHost host : kHosts) {
        InstallFacts facts = Installed(host, *FindSchemaProfile("corrected"));
        Get(facts, "workflows")
            .columns.insert(Get(facts, "workflows").columns.begin(), {"team", "text", true, ""});
        Get(facts, "workflows").constraints.emplace_back("CHECK (team <> '')");
        EXPECT_EQ(Actions(PlanInstallation(Request(host), facts).OrThrow()).at("exists"), 25);
    }
}

TEST(InstallTest, RefusesOtherShapes) {
    for (const SchemaHost host : kHosts) {
        const InstallFacts good = Installed(host, *FindSchemaProfile("corrected"));
        const auto refused = [&](auto change) {
            InstallFacts facts = good;
            change(facts);
            return Refusal(Request(host), facts);
        };
        const auto expect = [&](std::string_view wanted, auto change) {
            const std::string text = refused(change);
            EXPECT_NE(text.find(wanted), std::string::npos) << text;
        };
        expect("table workflows has no column name",
               [](InstallFacts& f) { Get(f, "workflows").columns[1].name = "title"; });
        expect("table workflows: column config is json",
               [](InstallFacts& f) { Get(f, "workflows").columns[4].type = "json"; });
        expect("table workflows: column status is",
               [](InstallFacts& f) { Get(f, "workflows").columns[3].is_not_null = false; });
        expect("table workflows: column status is",
               [](InstallFacts& f) { Get(f, "workflows").columns[3].initial = "'draft'"; });
        expect("table workflows lacks UNIQUE (name)", [](InstallFacts& f) {
            Get(f, "workflows").constraints.erase(Get(f, "workflows").constraints.begin() + 1);
        });
        expect("workflow_executions is a view",
               [](InstallFacts& f) { Get(f, "workflow_executions").kind = "view"; });
        expect("idx_workflows_created_at is a sequence",
               [](InstallFacts& f) { Get(f, "idx_workflows_created_at").kind = "sequence"; });
        expect("index idx_workflows_created_at is on other",
               [](InstallFacts& f) { Get(f, "idx_workflows_created_at").table = "other"; });
        expect("index idx_workflows_created_at is unique", [](InstallFacts& f) {
            Get(f, "idx_workflows_created_at").definition.insert(0, "unique ");
        });
        expect("index idx_workflows_created_at is invalid",
               [](InstallFacts& f) { Get(f, "idx_workflows_created_at").is_valid = false; });
    }
}

TEST(InstallTest, NamesTheOtherProfile) {
    for (const SchemaHost host : kHosts) {
        const InstallFacts facts = Installed(host, *FindSchemaProfile("guide"));
        const auto plan = PlanInstallation(Request(host, "corrected"), facts);
        ASSERT_FALSE(plan.ok());
        EXPECT_EQ(plan.error().code(), Code::kInvalidArgument);
        EXPECT_NE(plan.error().hint().find("tables of profile guide"), std::string::npos);
        EXPECT_NE(plan.error().message().find(" more"), std::string::npos);
        EXPECT_LT(plan.error().message().size(), 1024U);
    }
}

TEST(InstallTest, NeedsRightsOnlyForWhatItCreates) {
    InstallFacts facts;
    facts.may_create = false;
    const auto plan = PlanInstallation(Request(SchemaHost::kPostgres), facts);
    ASSERT_FALSE(plan.ok());
    EXPECT_EQ(plan.error().code(), Code::kPermissionDenied);
    EXPECT_EQ(plan.error().message(), "permission denied for schema \"app\"");

    facts = Installed(SchemaHost::kPostgres, *FindSchemaProfile("corrected"));
    Get(facts, "execution_logs").is_own = false;
    EXPECT_TRUE(PlanInstallation(Request(SchemaHost::kPostgres), facts).ok());
    Remove(facts, "idx_execution_logs_errors");
    EXPECT_EQ(Refusal(Request(SchemaHost::kPostgres), facts),
              "must be owner of table execution_logs to add index idx_execution_logs_errors");
}

TEST(InstallTest, StampsTheHeadRevision) {
    for (const SchemaHost host : kHosts) {
        InstallRequest request = Request(host);
        request.stamps_alembic = true;
        const auto names = InstallNames(request);
        EXPECT_NE(std::find(names.begin(), names.end(), "alembic_version"), names.end());
        InstallFacts facts = Installed(host, *request.profile);
        auto plan = PlanInstallation(request, facts).OrThrow();
        EXPECT_EQ(plan.back().sql,
                  "INSERT INTO \"app\".alembic_version (version_num) VALUES ('9a1b2c3d4e5f')");
        EXPECT_EQ(Actions(plan).at("created"), 2);

        RelationFact table;
        table.name = "alembic_version";
        table.kind = "table";
        facts.relations.push_back(table);
        EXPECT_NE(Refusal(request, facts).find("column version_num"), std::string::npos);
        facts.relations.back().columns.push_back({"version_num", "varchar(32)", true, ""});
        EXPECT_EQ(Actions(PlanInstallation(request, facts).OrThrow()).at("created"), 1);
        facts.revisions = {"9a1b2c3d4e5f"};
        EXPECT_EQ(Actions(PlanInstallation(request, facts).OrThrow()).count("created"), 0U);
        facts.revisions = {"8f7f9c9512ec"};
        EXPECT_EQ(Refusal(request, facts),
                  "alembic_version holds revision \"8f7f9c9512ec\", not 9a1b2c3d4e5f");
    }
}

TEST(InstallTest, ReadsItsArguments) {
    const TableFunction& call = *FindCall("install_workflow_schema");
    const auto read = [&](std::vector<Value> values, SchemaHost host) {
        return ReadInstallRequest(Arguments(call, std::move(values)), host);
    };
    const auto good = read({"x", "guide", false}, SchemaHost::kPostgres);
    ASSERT_TRUE(good.ok());
    EXPECT_EQ(good.value().profile->name, "guide");
    EXPECT_EQ(good.value().schema, "x");
    EXPECT_FALSE(read({"x", "GUIDE", false}, SchemaHost::kPostgres).ok());
    EXPECT_FALSE(read({"x", "guide", true}, SchemaHost::kPostgres).ok());
    EXPECT_FALSE(read({"pg_catalog", "guide", false}, SchemaHost::kPostgres).ok());
    EXPECT_TRUE(read({"pg_catalog", "guide", false}, SchemaHost::kSqlite).ok());
    EXPECT_FALSE(read({"Temp", "guide", false}, SchemaHost::kSqlite).ok());
    EXPECT_THROW((void)read({Value(), "guide", false}, SchemaHost::kPostgres), Error);
}

}  // namespace
}  // namespace upkeep::workflow
