// SPDX-License-Identifier: PostgreSQL
#include "workflow_schema.h"

#include <algorithm>
#include <map>
#include <string>

#include "catalog.h"
#include "stmt.h"

namespace upkeep::sqlite {

namespace {

using workflow::RelationFact;

void CheckWritable(sqlite3* db, const std::string& schema) {
    const int read_only = sqlite3_db_readonly(db, schema.c_str());
    if (read_only < 0) {
        throw Error(Code::kNotFound, "no database is attached as " + Quoted(schema),
                    "ATTACH it first, or leave target_schema out: main");
    }
    if (read_only == 1) {
        throw Error(Code::kUnsupported, "database " + Quoted(schema) + " is read-only",
                    "open it for writing");
    }
    Stmt pragma(db, "PRAGMA query_only");
    if (pragma.Step() && pragma.Integer(0) != 0) {
        throw Error(Code::kUnsupported, "this connection is read-only (PRAGMA query_only)",
                    "PRAGMA query_only = 0 first");
    }
}

/// `FOREIGN KEY (a) REFERENCES t(b) ON DELETE CASCADE`, one for each key.
void AddForeignKeys(sqlite3* db, const std::string& schema, RelationFact* fact) {
    struct Key {
        std::string from, table, to, actions;
    };
    std::map<int64_t, Key> keys;
    Stmt list(db,
              "SELECT id, lower(\"from\"), lower(\"table\"), lower(coalesce(\"to\", 'id')),"
              " CASE on_update WHEN 'NO ACTION' THEN '' ELSE ' ON UPDATE ' || on_update END"
              " || CASE on_delete WHEN 'NO ACTION' THEN '' ELSE ' ON DELETE ' || on_delete END"
              " FROM pragma_foreign_key_list(?1, ?2) ORDER BY id, seq");
    list.Bind(1, fact->name).Bind(2, schema);
    while (list.Step()) {
        Key& key = keys[list.Integer(0)];
        key.from += (key.from.empty() ? "" : ", ") + std::string(list.Text(1));
        key.table = list.Text(2);
        key.to += (key.to.empty() ? "" : ", ") + std::string(list.Text(3));
        key.actions = list.Text(4);
    }
    for (const auto& [id, key] : keys) {
        fact->constraints.push_back("FOREIGN KEY (" + key.from + ") REFERENCES " + key.table + "(" +
                                    key.to + ")" + key.actions);
    }
}

void AddKeys(sqlite3* db, const std::string& schema, RelationFact* fact) {
    Stmt primary(db,
                 "SELECT group_concat(name, ', ') FROM (SELECT lower(name) AS name"
                 " FROM pragma_table_info(?1, ?2) WHERE pk > 0 ORDER BY pk)");
    primary.Bind(1, fact->name).Bind(2, schema);
    if (primary.Step() && !primary.IsNull(0)) {
        fact->constraints.push_back("PRIMARY KEY (" + std::string(primary.Text(0)) + ")");
    }
    Stmt unique(db,
                "SELECT (SELECT group_concat(name, ', ') FROM (SELECT lower(name) AS name"
                " FROM pragma_index_info(l.name, ?2) ORDER BY seqno))"
                " FROM pragma_index_list(?1, ?2) AS l WHERE origin = 'u' ORDER BY seq");
    unique.Bind(1, fact->name).Bind(2, schema);
    while (unique.Step()) {
        fact->constraints.push_back("UNIQUE (" + std::string(unique.Text(0)) + ")");
    }
}

void AddColumns(sqlite3* db, const std::string& schema, RelationFact* fact) {
    Stmt columns(db,
                 "SELECT lower(name), type, \"notnull\", coalesce(dflt_value, '')"
                 " || iif(hidden > 1, ' generated', '')"
                 " FROM pragma_table_xinfo(?1, ?2) ORDER BY cid");
    columns.Bind(1, fact->name).Bind(2, schema);
    while (columns.Step()) {
        fact->columns.push_back({std::string(columns.Text(0)), std::string(columns.Text(1)),
                                 columns.Integer(2) != 0, std::string(columns.Text(3))});
    }
    Stmt strict(db,
                "SELECT max(strict) FROM pragma_table_list(?1) WHERE lower(schema) = lower(?2)");
    strict.Bind(1, fact->name).Bind(2, schema);
    if (strict.Step() && strict.Integer(0) != 0) {
        fact->constraints.emplace_back("STRICT");
    }
}

/// From `CREATE [UNIQUE] INDEX name ON table (…) WHERE …` the part from the first bracket on.
std::string IndexDefinition(std::string_view sql) {
    const std::string head = Lower(sql.substr(0, sql.find('(')));
    const bool is_unique = head.find("unique") < head.find("index");
    return (is_unique ? "unique " : "") +
           std::string(sql.substr(std::min(head.size(), sql.size())));
}

RelationFact ReadRelation(sqlite3* db, const std::string& schema, const Stmt& row) {
    RelationFact fact;
    fact.name = row.Text(0);
    fact.kind = row.Text(1);
    if (fact.kind == "index") {
        fact.table = row.Text(2);
        fact.definition = IndexDefinition(row.Text(3));
    } else if (fact.kind == "table" && Lower(row.Text(3)).rfind("create virtual", 0) == 0) {
        fact.kind = "virtual table";
    } else if (fact.kind == "table") {
        AddColumns(db, schema, &fact);
        AddKeys(db, schema, &fact);
        AddForeignKeys(db, schema, &fact);
        for (std::string& check : workflow::SqliteChecks(row.Text(3))) {
            fact.constraints.push_back(std::move(check));
        }
    }
    return fact;
}

}  // namespace

workflow::InstallFacts GatherInstallFacts(sqlite3* db, const workflow::InstallRequest& request) {
    CheckWritable(db, request.schema);
    const std::vector<std::string> names = workflow::InstallNames(request);
    workflow::InstallFacts facts;
    Stmt objects(db, "SELECT lower(name), type, lower(tbl_name), sql FROM " +
                         Quoted(request.schema) + ".sqlite_schema WHERE type <> 'trigger'");
    while (objects.Step()) {
        if (std::find(names.begin(), names.end(), objects.Text(0)) != names.end()) {
            facts.relations.push_back(ReadRelation(db, request.schema, objects));
        }
    }
    for (const RelationFact& fact : facts.relations) {
        const bool has_column =
            std::any_of(fact.columns.begin(), fact.columns.end(),
                        [](const workflow::ColumnFact& one) { return one.name == "version_num"; });
        if (request.stamps_alembic && fact.name == "alembic_version" && has_column) {
            Stmt held(db, "SELECT version_num FROM " + Qualified(request.schema, fact.name));
            while (held.Step()) {
                facts.revisions.emplace_back(held.Text(0));
            }
        }
    }
    return facts;
}

}  // namespace upkeep::sqlite
