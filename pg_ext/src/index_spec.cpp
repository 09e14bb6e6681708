// From a CREATE INDEX text, or from columns, to a hypothetical index. What the server would refuse
// is refused here with its words, so that nothing is priced that could not be built.
// SPDX-License-Identifier: PostgreSQL
#include "compat.h"
#include "hypothetical.h"

extern "C" {
#include "access/brin.h"
#include "access/brin_internal.h"
#include "access/gin_private.h"
#include "access/nbtree.h"
#include "access/reloptions.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_opclass.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_utilcmd.h"
#include "parser/parser.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace upkeep::pg {

namespace {

/// An oid that no relation has; from the far end, where counters are last to come.
Oid FreeOid(int number) {
    Oid oid = PG_UINT32_MAX - 1 - static_cast<Oid>(number);
    while (get_rel_name(oid) != nullptr) {
        oid -= 100003;
    }
    return oid;
}

void RefuseRelation(Oid relid) {
    const char kind = get_rel_relkind(relid);
    if (kind != RELKIND_RELATION && kind != RELKIND_MATVIEW && kind != RELKIND_PARTITIONED_TABLE) {
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("\"%s\" is a %s: it cannot have an index", get_rel_name(relid),
                        kind == RELKIND_VIEW            ? "view"
                        : kind == RELKIND_FOREIGN_TABLE ? "foreign table"
                                                        : "relation without rows of its own"),
                 errhint("assume indexes on the tables behind it")));
    }
    if (IsCatalogRelationOid(relid)) {
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("\"%s\" is a system catalog: indexes there are the server's own",
                               get_rel_name(relid)),
                        errhint("assume indexes on tables of the application")));
    }
    if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK) {
        aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(relid));
    }
}

HypotheticalIndex* Allocate(Oid relid, int key_count, int column_count, int number) {
    auto* index = static_cast<HypotheticalIndex*>(palloc0(sizeof(HypotheticalIndex)));
    index->oid = FreeOid(number);
    index->relid = relid;
    index->key_count = key_count;
    index->column_count = column_count;
    index->attnos = static_cast<AttrNumber*>(palloc0(sizeof(AttrNumber) * column_count));
    index->types = static_cast<Oid*>(palloc0(sizeof(Oid) * column_count));
    index->typmods = static_cast<int32*>(palloc0(sizeof(int32) * column_count));
    index->collations = static_cast<Oid*>(palloc0(sizeof(Oid) * column_count));
    index->families = static_cast<Oid*>(palloc0(sizeof(Oid) * key_count));
    index->input_types = static_cast<Oid*>(palloc0(sizeof(Oid) * key_count));
    index->descending = static_cast<bool*>(palloc0(sizeof(bool) * key_count));
    index->nulls_first = static_cast<bool*>(palloc0(sizeof(bool) * key_count));
    index->is_partitioned = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
    index->deduplicates = true;
    index->sizes = static_cast<KnownSizes*>(palloc0(sizeof(KnownSizes)));
    index->fill_percent = BTREE_DEFAULT_FILLFACTOR;
    index->access_method = BTREE_AM_OID;
    return index;
}

void SetColumn(HypotheticalIndex* index, int position, AttrNumber attno) {
    index->attnos[position] = attno;
    get_atttypetypmodcoll(index->relid, attno, &index->types[position], &index->typmods[position],
                          &index->collations[position]);
}

const char* MethodName(const HypotheticalIndex& index) {
    return get_am_name(index.access_method);
}

/// What the method cannot do, with the server's words.
void RefuseOptions(const HypotheticalIndex& index, const IndexStmt* statement) {
    if (index.access_method == BTREE_AM_OID) {
        return;
    }
    const char* refused = nullptr;
    if (statement->unique) {
        refused = "unique indexes";
    } else if (statement->indexIncludingParams != NIL) {
        refused = "included columns";
    }
    ListCell* cell = nullptr;
    foreach (cell, statement->indexParams) {
        const auto* element = lfirst_node(IndexElem, cell);
        if (element->ordering != SORTBY_DEFAULT) {
            refused = "ASC/DESC options";
        } else if (element->nulls_ordering != SORTBY_NULLS_DEFAULT) {
            refused = "NULLS FIRST/LAST options";
        }
    }
    if (refused != nullptr) {
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("access method \"%s\" does not support %s", MethodName(index), refused),
                 errhint("leave that out")));
    }
}

void SetOperatorClass(HypotheticalIndex* index, int key, List* opclass) {
    const Oid type = index->types[key];
    const Oid resolved = ResolveOpClass(opclass, type, MethodName(*index), index->access_method);
    index->families[key] = get_opclass_family(resolved);
    index->input_types[key] = get_opclass_input_type(resolved);
    if (key == 0 && index->access_method == GIN_AM_OID) {
        HeapTuple tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(resolved));
        if (HeapTupleIsValid(tuple)) {
            index->gin_key_type = reinterpret_cast<Form_pg_opclass>(GETSTRUCT(tuple))->opckeytype;
            ReleaseSysCache(tuple);
        }
    }
}

void RefuseMutable(Node* node, const char* what) {
    if (contain_mutable_functions(
            reinterpret_cast<Node*>(expression_planner(reinterpret_cast<Expr*>(node))))) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
                        errmsg("functions in index %s must be marked IMMUTABLE", what),
                        errhint("use functions whose result depends on their arguments only")));
    }
}

void SetElement(HypotheticalIndex* index, int position, IndexElem* element) {
    if (element->name != nullptr) {
        const AttrNumber attno = get_attnum(index->relid, element->name);
        if (attno == InvalidAttrNumber) {
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                            errmsg("column \"%s\" does not exist", element->name)));
        }
        if (attno < 0) {
            ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                            errmsg("index creation on system columns is not supported")));
        }
        SetColumn(index, position, attno);
    } else {
        if (position >= index->key_count) {
            ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                            errmsg("expressions are not supported in included columns"),
                            errhint("name columns in INCLUDE")));
        }
        RefuseMutable(element->expr, "expression");
        Node* expression = eval_const_expressions(nullptr, element->expr);
        fix_opfuncids(expression);
        index->expressions = lappend(index->expressions, expression);
        index->types[position] = exprType(expression);
        index->typmods[position] = exprTypmod(expression);
        index->collations[position] = exprCollation(expression);
    }
    if (position >= index->key_count) {
        return;
    }
    if (element->collation != NIL) {
        index->collations[position] = get_collation_oid(element->collation, false);
    }
    SetOperatorClass(index, position, element->opclass);
    index->descending[position] = element->ordering == SORTBY_DESC;
    index->nulls_first[position] = element->nulls_ordering == SORTBY_NULLS_DEFAULT
                                       ? index->descending[position]
                                       : element->nulls_ordering == SORTBY_NULLS_FIRST;
}

/// The column's name in the index as the server would choose it: numbered where it is taken.
char* ColumnName(const IndexElem* element, List* taken) {
    const char* origin = element->indexcolname != nullptr ? element->indexcolname
                         : element->name != nullptr       ? element->name
                                                          : "expr";
    char* name = pstrdup(origin);
    for (int number = 1;; ++number) {
        bool is_free = true;
        ListCell* cell = nullptr;
        foreach (cell, taken) {
            is_free = is_free && strcmp(static_cast<char*>(lfirst(cell)), name) != 0;
        }
        if (is_free) {
            return name;
        }
        name = psprintf("%s%d", origin, number);
    }
}

/// The name that the server would choose: `table_column_…_idx`, free in the table's schema.
char* ChooseName(Oid relid, const IndexStmt* statement) {
    List* names = NIL;
    StringInfoData columns;
    initStringInfo(&columns);
    ListCell* cell = nullptr;
    foreach (cell, list_concat_copy(statement->indexParams, statement->indexIncludingParams)) {
        char* name = ColumnName(lfirst_node(IndexElem, cell), names);
        names = lappend(names, name);
        appendStringInfo(&columns, "%s%s", columns.len > 0 ? "_" : "", name);
    }
    if (columns.len >= NAMEDATALEN) {  // the server stops after the column that passes the limit
        columns.data[pg_mbcliplen(columns.data, columns.len, NAMEDATALEN - 1)] = '\0';
    }
    return ChooseRelationName(get_rel_name(relid), columns.data, "idx", get_rel_namespace(relid),
                              false);
}

IndexStmt* ParseStatement(const char* create_index) {
    List* parsed = raw_parser(create_index, RAW_PARSE_DEFAULT);
    if (list_length(parsed) != 1 || !IsA(linitial_node(RawStmt, parsed)->stmt, IndexStmt)) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("not one CREATE INDEX statement: %s",
                               pnstrdup(create_index,
                                        pg_mbcliplen(create_index,
                                                     static_cast<int>(strlen(create_index)), 60))),
                        errhint("write CREATE INDEX ON table (column, ...)")));
    }
    auto* statement = castNode(IndexStmt, linitial_node(RawStmt, parsed)->stmt);
    return statement;
}

void SetMethod(HypotheticalIndex* index, const IndexStmt* statement) {
    const char* name = statement->accessMethod != nullptr ? statement->accessMethod : "btree";
    index->access_method = get_index_am_oid(name, false);
    if (index->access_method != BTREE_AM_OID && index->access_method != GIN_AM_OID &&
        index->access_method != BRIN_AM_OID) {
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("an index of type %s cannot be assumed", name),
                 errhint("btree, gin and brin can: build it on a copy and look at EXPLAIN")));
    }
    RefuseOptions(*index, statement);
}

void SetPredicate(HypotheticalIndex* index, Node* where) {
    if (where == nullptr) {
        return;
    }
    RefuseMutable(where, "predicate");
    Node* predicate = eval_const_expressions(nullptr, where);
    predicate =
        reinterpret_cast<Node*>(canonicalize_qual(reinterpret_cast<Expr*>(predicate), false));
    index->predicate = make_ands_implicit(reinterpret_cast<Expr*>(predicate));
    fix_opfuncids(reinterpret_cast<Node*>(index->predicate));
}

void SetStorage(HypotheticalIndex* index, IndexStmt* statement) {
    index->is_unique = statement->unique;
    if (statement->tableSpace != nullptr) {
        index->tablespace = get_tablespace_oid(statement->tableSpace, false);
    }
    const Datum options =
        transformRelOptions(Datum{0}, statement->options, nullptr, nullptr, false, false);
    if (index->access_method == GIN_AM_OID) {
        ginoptions(options, true);  // raises what the server would
    } else if (index->access_method == BRIN_AM_OID) {
        const auto* set = reinterpret_cast<const BrinOptions*>(brinoptions(options, true));
        index->pages_per_range = set != nullptr ? static_cast<int>(set->pagesPerRange) : 0;
    } else if (options != Datum{0}) {
        const auto* set = reinterpret_cast<const BTOptions*>(btoptions(options, true));
        index->fill_percent = set->fillfactor;
        index->deduplicates = set->deduplicate_items;
    }
}

void SetName(HypotheticalIndex* index, const IndexStmt* statement) {
    if (statement->idxname == nullptr) {
        index->name = ChooseName(index->relid, statement);
        return;
    }
    index->name = pstrdup(statement->idxname);
    if (!OidIsValid(get_relname_relid(index->name, get_rel_namespace(index->relid)))) {
        return;
    }
    index->is_there = statement->if_not_exists;
    if (!index->is_there) {
        ereport(ERROR, (errcode(ERRCODE_DUPLICATE_TABLE),
                        errmsg("relation \"%s\" already exists", index->name),
                        errhint("leave out the name, or add IF NOT EXISTS")));
    }
}

}  // namespace

HypotheticalIndex* ParseIndex(const char* create_index, int number) {
    IndexStmt* statement = ParseStatement(create_index);
    const Oid relid = RangeVarGetRelid(statement->relation, AccessShareLock, false);
    RefuseRelation(relid);
    if (!statement->relation->inh && get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE) {
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("an index on only the root of a partitioned table serves no statement"),
                 errhint("leave out ONLY")));
    }
    statement = transformIndexStmt(relid, statement, create_index);
    const int key_count = list_length(statement->indexParams);
    const int column_count = key_count + list_length(statement->indexIncludingParams);
    if (column_count > INDEX_MAX_KEYS) {
        ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS),
                        errmsg("cannot use more than %d columns in an index", INDEX_MAX_KEYS)));
    }
    HypotheticalIndex* index = Allocate(relid, key_count, column_count, number);
    SetMethod(index, statement);
    int position = 0;
    ListCell* cell = nullptr;
    foreach (cell, statement->indexParams) {
        SetElement(index, position++, lfirst_node(IndexElem, cell));
    }
    foreach (cell, statement->indexIncludingParams) {
        SetElement(index, position++, lfirst_node(IndexElem, cell));
    }
    SetPredicate(index, statement->whereClause);
    SetStorage(index, statement);
    SetName(index, statement);
    return index;
}

HypotheticalIndex* MakeIndex(Oid relid, const KeyRequest* keys, int key_count,
                             const AttrNumber* included, int included_count, int number) {
    HypotheticalIndex* index = Allocate(relid, key_count, key_count + included_count, number);
    for (int i = 0; i < key_count; ++i) {
        SetColumn(index, i, keys[i].attno);
        SetOperatorClass(index, i, NIL);
        index->descending[i] = keys[i].descending;
        index->nulls_first[i] = keys[i].nulls_first;
    }
    for (int i = 0; i < included_count; ++i) {
        SetColumn(index, key_count + i, included[i]);
    }
    index->name = psprintf("upkeep_%d", number);
    return index;
}

}  // namespace upkeep::pg
