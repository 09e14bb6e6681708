// SPDX-License-Identifier: PostgreSQL
#include "workflow_tables.h"

#include "guard.h"
#include "query.h"

extern "C" {
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "utils/regproc.h"
}

namespace upkeep::pg {

namespace {

struct Found {
    Oid oid;
    char kind;
    const char* name;
};

Found Describe(Oid oid) {
    return CallHost([=] {
        Found found = {oid, '\0', nullptr};
        char* name = get_rel_name(oid);
        char* schema = name == nullptr ? nullptr : get_namespace_name(get_rel_namespace(oid));
        if (schema != nullptr) {
            found.name = quote_qualified_identifier(schema, name);
            found.kind = get_rel_relkind(oid);
        }
        return found;
    });
}

bool HoldsRows(char kind) {
    return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_VIEW ||
           kind == RELKIND_MATVIEW || kind == RELKIND_FOREIGN_TABLE;
}

std::string Qualified(std::string_view alias, const char* column) {
    const char* quoted = CallHost([=] { return quote_identifier(column); });
    return std::string(alias) + "." + quoted;
}

}  // namespace

std::optional<WorkflowTable> WorkflowTable::Find(const char* name) {
    const Oid oid = CallHost(
        [=] { return RangeVarGetRelid(makeRangeVar(nullptr, pstrdup(name), -1), NoLock, true); });
    const Found found = Describe(oid);
    if (found.name == nullptr || !HoldsRows(found.kind)) {
        return std::nullopt;
    }
    return WorkflowTable(oid, found.name);
}

WorkflowTable WorkflowTable::Get(const char* name) {
    std::optional<WorkflowTable> table = Find(name);
    if (!table) {
        const bool nameable = std::string_view(name) == "workflow_executions";
        throw Error(Code::kNotFound, std::string("there is no table ") + name + " in search_path",
                    std::string("add its schema to search_path, or create it: SELECT * FROM "
                                "upkeep.install_workflow_schema()") +
                        (nameable ? "; workflow_stats takes another table as executions => "
                                    "'schema.table'"
                                  : ""));
    }
    return *std::move(table);
}

WorkflowTable WorkflowTable::OfRegclass(const std::string& name) {
    const char* text = name.c_str();
    const Oid oid = CallHost(
        [=] { return DatumGetObjectId(DirectFunctionCall1(regclassin, CStringGetDatum(text))); });
    const Found found = Describe(oid);
    if (found.name == nullptr || !HoldsRows(found.kind)) {
        throw Error(Code::kInvalidArgument, "executions is not a table or view: " + name,
                    "name the table of executions, as 'schema.table'");
    }
    return WorkflowTable(oid, found.name);
}

Oid WorkflowTable::TypeOf(const char* column) const {
    const Oid oid = oid_;
    return CallHost([=] {
        const AttrNumber attno = get_attnum(oid, column);
        return attno > 0 ? get_atttype(oid, attno) : InvalidOid;
    });
}

void WorkflowTable::Require(std::initializer_list<const char*> columns) const {
    std::string missing;
    for (const char* column : columns) {
        if (!Has(column)) {
            missing += (missing.empty() ? "" : ", ") + std::string(column);
        }
    }
    if (!missing.empty()) {
        throw Error(
            Code::kInvalidArgument, "table " + name_ + " lacks columns: " + missing,
            "columns are found by name; a view can give those of another table these names");
    }
}

const char* WorkflowTable::FirstOf(std::initializer_list<const char*> columns) const {
    for (const char* column : columns) {
        if (Has(column)) {
            return column;
        }
    }
    Require(columns);
    return *columns.begin();  // not reached
}

ColumnText WorkflowTable::Column(std::string_view alias, const char* column) const {
    return {Qualified(alias, column), TypeOf(column)};
}

std::string WorkflowTable::Text(std::string_view alias, const char* column) const {
    return Has(column) ? Qualified(alias, column) + "::pg_catalog.text" : "NULL::pg_catalog.text";
}

std::string WorkflowTable::Count(std::string_view alias, const char* column) const {
    return Has(column) ? "COALESCE(" + Qualified(alias, column) + "::pg_catalog.int8, 0)"
                       : "0::pg_catalog.int8";
}

std::string WorkflowTable::Time(std::string_view alias, const char* column) const {
    const Oid type = TypeOf(column);
    if (type == InvalidOid) {
        return "NULL::pg_catalog.timestamptz";
    }
    if (type == TIMESTAMPOID) {
        return "pg_catalog.timezone('UTC', " + Qualified(alias, column) + ")";
    }
    if (type != TIMESTAMPTZOID) {
        const char* found = CallHost([=] { return format_type_be(type); });
        throw Error(Code::kInvalidArgument,
                    "column " + std::string(column) + " of " + name_ + " is of type " + found,
                    "it must be timestamp with time zone, or timestamp (taken as UTC)");
    }
    return Qualified(alias, column);
}

std::string WorkflowTable::TimeCompared(std::string_view alias, const char* column,
                                        std::string_view op, std::string_view parameter) const {
    Time(alias, column);  // refuses other types
    const std::string side = TypeOf(column) == TIMESTAMPOID
                                 ? "pg_catalog.timezone('UTC', " + std::string(parameter) + ")"
                                 : std::string(parameter);
    return Qualified(alias, column) + " OPERATOR(pg_catalog." + std::string(op) + ") " + side;
}

std::string WorkflowTable::Equals(std::string_view alias, const char* column,
                                  const std::string& word) const {
    const Oid type = TypeOf(column);
    const bool is_enum = CallHost([=] { return type_is_enum(type); });
    return Qualified(alias, column) + (is_enum ? "::pg_catalog.text" : "") +
           " OPERATOR(pg_catalog.=) " + Literal(word);
}

bool WorkflowTable::CanHold(const char* column, const std::string& text) const {
    const Oid type = TypeOf(column);
    const char* value = text.c_str();
    return InSubtransaction([=] {
               Oid input = InvalidOid;
               Oid parameter = InvalidOid;
               getTypeInputInfo(type, &input, &parameter);
               OidInputFunctionCall(input, const_cast<char*>(value), parameter, -1);
               return true;
           })
        .ok();
}

std::string Same(const ColumnText& a, const ColumnText& b) {
    const auto is_text = [](Oid type) { return type == TEXTOID || type == VARCHAROID; };
    const bool alike = a.type == b.type || (is_text(a.type) && is_text(b.type));
    const char* cast = alike ? "" : "::pg_catalog.text";
    return a.sql + cast + " OPERATOR(pg_catalog.=) " + b.sql + cast;
}

}  // namespace upkeep::pg
