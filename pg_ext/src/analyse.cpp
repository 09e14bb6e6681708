// SPDX-License-Identifier: PostgreSQL
#include "analyse.h"

#include <algorithm>

#include "compat.h"

extern "C" {
#include "access/relation.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_param.h"
#include "parser/parser.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lockdefs.h"
#include "utils/queryjumble.h"
}

#include "query_walk.h"

namespace upkeep::pg {

namespace {

RawStmt* ParseOne(const char* text) {
    List* parsed = raw_parser(text, RAW_PARSE_DEFAULT);
    if (list_length(parsed) != 1) {
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 list_length(parsed) == 0
                     ? errmsg("the text holds no statement")
                     : errmsg("the text holds %d statements, one is wanted", list_length(parsed)),
                 errhint("give each statement as a text of its own")));
    }
    RawStmt* raw = linitial_node(RawStmt, parsed);
    switch (nodeTag(raw->stmt)) {
        case T_SelectStmt:
        case T_InsertStmt:
        case T_UpdateStmt:
        case T_DeleteStmt:
        case T_MergeStmt:
            return raw;
        default:
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("this kind of statement has no plan"),
                            errhint("give a SELECT, INSERT, UPDATE, DELETE or MERGE, without "
                                    "EXPLAIN")));
    }
    return nullptr;
}

/// The planner checks no rights: check every relation that the rewritten query names, with the user
/// that the rewriter wrote down for it (the owner of a view for what stands behind it).
bool CheckRightsWalker(Node* node, void* context) {
    if (node == nullptr) {
        return false;
    }
    if (IsA(node, Query)) {
        auto* query = reinterpret_cast<Query*>(node);
        ListCell* cell = nullptr;
        foreach (cell, query->rtable) {
            ExecCheckRTPerms(list_make1(lfirst(cell)), true);
        }
        return WalkQuery(query, CheckRightsWalker, context, 0);
    }
    return WalkExpression(node, CheckRightsWalker, context);
}

/// Notes the relations of a query and has the planner and the executor take them as read only: an
/// UPDATE that is never run needs no stronger lock.
bool CollectRelationsWalker(Node* node, void* context) {
    if (node == nullptr) {
        return false;
    }
    if (IsA(node, Query)) {
        auto* query = reinterpret_cast<Query*>(node);
        auto* oids = static_cast<List**>(context);
        ListCell* cell = nullptr;
        foreach (cell, query->rtable) {
            auto* entry = lfirst_node(RangeTblEntry, cell);
            if (entry->rtekind == RTE_RELATION) {
                entry->rellockmode = AccessShareLock;
                *oids = list_append_unique_oid(*oids, entry->relid);
            }
        }
        return WalkQuery(query, CollectRelationsWalker, context, 0);
    }
    return WalkExpression(node, CollectRelationsWalker, context);
}

/// Without the NOTIFY that a rule may add: the planner knows no utility command.
List* WithPlans(List* rewritten) {
    ListCell* cell = nullptr;
    foreach (cell, rewritten) {
        if (lfirst_node(Query, cell)->commandType == CMD_UTILITY) {
            rewritten = foreach_delete_current(rewritten, cell);
        }
    }
    return rewritten;
}

}  // namespace

bool LockRelations(const PlainStatement* statement) {
    ListCell* cell = nullptr;
    foreach (cell, statement->relations) {
        Relation relation = try_relation_open(lfirst_oid(cell), AccessShareLock);
        if (relation == nullptr) {
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                            errmsg("a relation of the statement was dropped meanwhile"),
                            errhint("call again")));
        }
        relation_close(relation, NoLock);
    }
    return true;
}

PlainStatement* AnalyseStatement(const char* text) {
    return AnalyseStatement(text, {});
}

PlainStatement* AnalyseStatement(const char* text, const ParameterTypes& known) {
    RawStmt* raw = ParseOne(text);
    // Not parse_analyze_varparams: its hook would let other modules count a statement that nobody
    // ran.
    ParseState* state = make_parsestate(nullptr);
    state->p_sourcetext = text;
    auto* parameter_types = static_cast<Oid*>(palloc0(sizeof(Oid) * (known.count + 1)));
    std::copy_n(known.types, known.count, parameter_types);
    int parameter_count = known.count;
    setup_parse_variable_parameters(state, &parameter_types, &parameter_count);
    Query* query = transformTopLevelStmt(state, raw);
    check_variable_parameters(state, query);
    free_parsestate(state);

    auto* statement = static_cast<PlainStatement*>(palloc0(sizeof(PlainStatement)));
    statement->text = text;
    statement->command = query->commandType;
    statement->has_parameters = parameter_count > 0;
    JumbleQuery(query, text);
    statement->fingerprint = static_cast<int64_t>(query->queryId);
    if (query->commandType == CMD_UTILITY) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("this kind of statement has no plan"),
                        errhint("give a SELECT, INSERT, UPDATE, DELETE or MERGE, without INTO")));
    }
    statement->queries = WithPlans(QueryRewrite(query));
    ListCell* cell = nullptr;
    foreach (cell, statement->queries) {
        auto* rewritten = lfirst_node(Query, cell);
        CheckRightsWalker(reinterpret_cast<Node*>(rewritten), nullptr);
        CollectRelationsWalker(reinterpret_cast<Node*>(rewritten), &statement->relations);
        CollectUses(rewritten, statement);
    }
    return statement;
}

}  // namespace upkeep::pg
