// SPDX-License-Identifier: PostgreSQL
#include "json_columns.h"

#include <string>
#include <utility>

#include "host_query.h"

namespace upkeep::pg {

namespace {

// The type of a column cannot be changed under a view, rule, policy, trigger or generated column,
// nor in a child alone; a check may call functions that jsonb does not have.
constexpr const char* kColumns =
    "SELECT t.oid, quote_ident(t.relname),"
    "  format('%I.%I', n.nspname, t.relname), a.attname, quote_ident(a.attname),"
    "  EXISTS (SELECT FROM pg_depend d JOIN pg_index x ON x.indexrelid = d.objid"
    "    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass"
    "     AND d.refobjid = t.oid AND d.refobjsubid = a.attnum),"
    "  CASE WHEN a.attinhcount > 0 THEN 'the column is inherited'"
    "    WHEN t.relispartition THEN 'the table is a partition'"
    "    ELSE (SELECT 'a ' || min(CASE d.classid WHEN 'pg_rewrite'::regclass THEN 'view or rule'"
    "      WHEN 'pg_policy'::regclass THEN 'policy' WHEN 'pg_trigger'::regclass THEN 'trigger'"
    "      WHEN 'pg_attrdef'::regclass THEN 'generated column' ELSE 'check' END)"
    "      || ' depends on the column' FROM pg_depend d"
    "      WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid"
    "       AND d.refobjsubid = a.attnum AND (d.classid IN ('pg_rewrite'::regclass,"
    "        'pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_constraint'::regclass)"
    "        OR d.classid = 'pg_attrdef'::regclass AND d.deptype = 'n')) END"
    " FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid"
    "  JOIN pg_namespace n ON n.oid = t.relnamespace"
    " WHERE a.atttypid = 'json'::regtype AND a.attnum > 0 AND NOT a.attisdropped"
    "  AND t.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
    "  AND NOT pg_is_other_temp_schema(n.oid)"
    " ORDER BY n.nspname, t.relname, a.attnum";

}  // namespace

void ReadJsonColumns(health::IndexInventory* inventory) {
    const HostRows rows = Query(kColumns);
    for (int i = 0; i < rows.rows; ++i) {
        health::JsonColumn column;
        column.table_sql = rows.Text(i, 2);
        column.table_name =
            IsVisible(static_cast<Oid>(*rows.Integer(i, 0))) ? rows.Text(i, 1) : column.table_sql;
        column.name = rows.Text(i, 3);
        column.name_sql = rows.Text(i, 4);
        column.is_indexed = rows.Bool(i, 5);
        column.blocked_by = rows.Text(i, 6);
        inventory->json_columns.push_back(std::move(column));
    }
}

}  // namespace upkeep::pg
