// SPDX-License-Identifier: PostgreSQL
#include "workflow_schema.h"

#include <algorithm>

#include "guard.h"
#include "host_query.h"
#include "pg.h"

extern "C" {
#include "access/xlog.h"
#include "catalog/pg_namespace.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
}

namespace upkeep::pg {

namespace {

constexpr const char* kRelations =
    "SELECT c.relname,"
    " CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'i' THEN 'index'"
    "  WHEN 'I' THEN 'index' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'"
    "  WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' ELSE 'type' END,"
    " pg_has_role(c.relowner, 'USAGE'), t.relname,"
    " CASE WHEN i.indisunique THEN 'unique ' ELSE '' END"
    "  || substring(pg_get_indexdef(c.oid) FROM ' USING (.*)$'),"
    " coalesce(i.indisvalid, true)"
    " FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid"
    " LEFT JOIN pg_class t ON t.oid = i.indrelid"
    " WHERE c.relnamespace = $1::oid AND c.relname = ANY ($2::text[]) ORDER BY 1";

constexpr const char* kColumns =
    "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
    " CASE WHEN a.attidentity <> '' THEN 'an identity'"
    "  WHEN a.attgenerated <> '' THEN 'generated: ' ELSE '' END"
    "  || coalesce(pg_get_expr(d.adbin, d.adrelid), '')"
    " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    " WHERE c.relnamespace = $1::oid AND c.relname = ANY ($2::text[]) AND c.relkind IN ('r', 'p')"
    " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, a.attnum";

// A reference into the same schema is printed without it, so that the core need not know it.
constexpr const char* kConstraints =
    "SELECT c.relname, replace(pg_get_constraintdef(k.oid),"
    "  ' REFERENCES ' || quote_ident(n.nspname) || '.', ' REFERENCES ')"
    " FROM pg_class c JOIN pg_constraint k ON k.conrelid = c.oid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relnamespace = $1::oid AND c.relname = ANY ($2::text[]) ORDER BY 1, k.oid";

struct Schema {
    Oid oid;
    bool may_create;
};

/// Looks the schema up, checks that something can be written at all, takes the lock.
Schema OpenSchema(const char* name) {
    if (XactReadOnly) {
        ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
                        errmsg("cannot install the workflow schema in a read-only transaction"),
                        RecoveryInProgress() ? errhint("this server is a standby: run it on the "
                                                       "primary")
                                             : errhint("run it in a transaction that may write")));
    }
    Schema schema = {get_namespace_oid(name, true), false};
    if (!OidIsValid(schema.oid)) {
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_SCHEMA), errmsg("schema \"%s\" does not exist", name),
                 errhint("CREATE SCHEMA %s first, or name another", quote_identifier(name))));
    }
    schema.may_create = pg_namespace_aclcheck(schema.oid, GetUserId(), ACL_CREATE) == ACLCHECK_OK &&
                        pg_namespace_aclcheck(schema.oid, GetUserId(), ACL_USAGE) == ACLCHECK_OK;
    if (schema.may_create) {
        LockDatabaseObject(NamespaceRelationId, schema.oid, 0, ShareUpdateExclusiveLock);
    }
    return schema;
}

workflow::RelationFact* Find(workflow::InstallFacts* facts, const std::string& name) {
    const auto found =
        std::find_if(facts->relations.begin(), facts->relations.end(),
                     [&](const workflow::RelationFact& one) { return one.name == name; });
    return found == facts->relations.end() ? nullptr : &*found;
}

/// The text of an array; the names are the core's own, plain words.
std::string NameArray(const workflow::InstallRequest& request) {
    std::string out;
    for (const std::string& name : workflow::InstallNames(request)) {
        out += (out.empty() ? "{" : ",") + name;
    }
    return out + "}";
}

void ReadRevisions(const workflow::InstallRequest& request, workflow::InstallFacts* facts) {
    const workflow::RelationFact* table = Find(facts, "alembic_version");
    const bool is_readable =
        table != nullptr && table->kind == "table" &&
        std::any_of(table->columns.begin(), table->columns.end(),
                    [](const workflow::ColumnFact& one) { return one.name == "version_num"; });
    if (!request.stamps_alembic || !is_readable) {
        return;
    }
    const char* schema = request.schema.c_str();
    const std::string sql = CallHost([=] {
        return psprintf("SELECT version_num FROM %s.alembic_version", quote_identifier(schema));
    });
    const HostRows rows = QueryOwnWork(sql.c_str(), {});
    for (int i = 0; i < rows.rows; ++i) {
        facts->revisions.push_back(rows.Text(i, 0));
    }
}

}  // namespace

workflow::InstallFacts GatherInstallFacts(const workflow::InstallRequest& request) {
    const char* name = request.schema.c_str();
    const Schema schema = CallHost([=] { return OpenSchema(name); });
    const std::vector<std::string> arguments = {std::to_string(schema.oid), NameArray(request)};
    workflow::InstallFacts facts;
    facts.may_create = schema.may_create;
    const HostRows relations = QueryOwnWork(kRelations, arguments);
    for (int i = 0; i < relations.rows; ++i) {
        workflow::RelationFact fact;
        fact.name = relations.Text(i, 0);
        fact.kind = relations.Text(i, 1);
        fact.is_own = relations.Bool(i, 2);
        fact.table = relations.Text(i, 3);
        fact.definition = relations.Text(i, 4);
        fact.is_valid = relations.Bool(i, 5);
        facts.relations.push_back(fact);
    }
    const HostRows columns = QueryOwnWork(kColumns, arguments);
    for (int i = 0; i < columns.rows; ++i) {
        Find(&facts, columns.Text(i, 0))
            ->columns.push_back(
                {columns.Text(i, 1), columns.Text(i, 2), columns.Bool(i, 3), columns.Text(i, 4)});
    }
    const HostRows constraints = QueryOwnWork(kConstraints, arguments);
    for (int i = 0; i < constraints.rows; ++i) {
        if (workflow::RelationFact* fact = Find(&facts, constraints.Text(i, 0))) {
            fact->constraints.push_back(constraints.Text(i, 1));
        }
    }
    ReadRevisions(request, &facts);
    return facts;
}

}  // namespace upkeep::pg
