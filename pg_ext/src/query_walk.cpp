// SPDX-License-Identifier: PostgreSQL
#include "query_walk.h"

#include "compat.h"
#include "query_level.h"

extern "C" {
#include "catalog/pg_class.h"
#include "nodes/bitmapset.h"
#include "nodes/nodeFuncs.h"
#include "utils/syscache.h"
}

namespace upkeep::pg {

namespace {

int AttributeCount(Oid relid) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
    if (!HeapTupleIsValid(tuple)) {
        return 0;
    }
    const int count = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relnatts;
    ReleaseSysCache(tuple);
    return count;
}

/// Notes every column that a level's expressions read, and opens the levels of sublinks.
struct NeededContext {
    Level* level;
    int depth;
};

bool NoteNeeded(Node* node, void* context) {
    auto* needed = static_cast<NeededContext*>(context);
    if (node == nullptr) {
        return false;
    }
    if (IsA(node, Var)) {
        auto* var = reinterpret_cast<Var*>(node);
        Level* level = needed->level;
        if (static_cast<int>(var->varlevelsup) == needed->depth && var->varno > 0 &&
            var->varno <= list_length(level->query->rtable) && level->use_of[var->varno] >= 0) {
            PlainUse* use = &level->statement->uses.items[level->use_of[var->varno]];
            if (var->varattno > 0) {
                use->needed = bms_add_member(use->needed, var->varattno);
            } else if (var->varattno == 0) {  // the whole row
                const int count = AttributeCount(use->relid);
                for (int i = 1; i <= count; ++i) {
                    use->needed = bms_add_member(use->needed, i);
                }
            }
        }
        return false;
    }
    if (IsA(node, Query)) {
        NeededContext inner = {needed->level, needed->depth + 1};
        return WalkQuery(reinterpret_cast<Query*>(node), NoteNeeded, &inner, 0);
    }
    return WalkExpression(node, NoteNeeded, context);
}

struct SublinkContext {
    Level* level;
};

bool OpenSublinks(Node* node, void* context) {
    if (node == nullptr || IsA(node, Query)) {
        return false;  // another level looks after itself
    }
    if (IsA(node, SubLink)) {
        AddSublink(static_cast<SublinkContext*>(context)->level, reinterpret_cast<SubLink*>(node));
    }
    return WalkExpression(node, OpenSublinks, context);
}

void OpenRelations(Level* level) {
    PlainStatement* statement = level->statement;
    Index rti = 0;
    ListCell* cell = nullptr;
    foreach (cell, level->query->rtable) {
        auto* entry = lfirst_node(RangeTblEntry, cell);
        ++rti;
        level->use_of[rti] = -1;
        const bool is_insert_target = level->query->commandType == CMD_INSERT &&
                                      static_cast<int>(rti) == level->query->resultRelation;
        if (entry->rtekind == RTE_RELATION && entry->relkind != RELKIND_VIEW && entry->inFromCl) {
            level->use_of[rti] = statement->uses.count;
            statement->uses.Add()->relid = entry->relid;
        } else if (entry->rtekind == RTE_RELATION && entry->relkind != RELKIND_VIEW &&
                   static_cast<int>(rti) == level->query->resultRelation && !is_insert_target) {
            level->use_of[rti] = statement->uses.count;  // UPDATE and DELETE look their rows up
            statement->uses.Add()->relid = entry->relid;
        } else if (entry->rtekind == RTE_SUBQUERY) {
            level->level_of[rti] = OpenLevel(entry->subquery, level, statement);
        }
        if (static_cast<int>(rti) == level->query->resultRelation &&
            level->query->commandType != CMD_SELECT) {
            *statement->written.Add() = entry->relid;
        }
    }
}

/// CTEs are levels that any number of range table entries may show.
void OpenCtes(Level* level) {
    const int count = list_length(level->query->cteList);
    auto** levels = static_cast<Level**>(palloc0(sizeof(Level*) * (count + 1)));
    int position = 0;
    ListCell* cell = nullptr;
    foreach (cell, level->query->cteList) {
        auto* cte = lfirst_node(CommonTableExpr, cell);
        levels[position++] = OpenLevel(castNode(Query, cte->ctequery), level, level->statement);
    }
    Index rti = 0;
    foreach (cell, level->query->rtable) {
        auto* entry = lfirst_node(RangeTblEntry, cell);
        ++rti;
        if (entry->rtekind != RTE_CTE || entry->ctelevelsup != 0) {
            continue;
        }
        position = 0;
        ListCell* candidate = nullptr;
        foreach (candidate, level->query->cteList) {
            if (strcmp(lfirst_node(CommonTableExpr, candidate)->ctename, entry->ctename) == 0) {
                level->level_of[rti] = levels[position];
            }
            ++position;
        }
    }
}

}  // namespace

Level* OpenLevel(Query* query, Level* parent, PlainStatement* statement) {
    check_stack_depth();
    auto* level = static_cast<Level*>(palloc0(sizeof(Level)));
    const int count = list_length(query->rtable) + 1;
    level->query = query;
    level->parent = parent;
    level->statement = statement;
    level->use_of = static_cast<int*>(palloc0(sizeof(int) * count));
    level->level_of = static_cast<Level**>(palloc0(sizeof(Level*) * count));
    OpenRelations(level);
    OpenCtes(level);
    NeededContext needed = {level, 0};
    WalkQuery(query, NoteNeeded, &needed, QTW_IGNORE_JOINALIASES);
    AddJoinTree(level, reinterpret_cast<Node*>(query->jointree));
    AddRowSecurity(level);
    SublinkContext sublinks = {level};
    OpenSublinks(reinterpret_cast<Node*>(query->targetList), &sublinks);
    OpenSublinks(reinterpret_cast<Node*>(query->jointree), &sublinks);
    OpenSublinks(query->havingQual, &sublinks);
    if (query->groupClause != NIL || query->hasAggs) {
        AddGroup(level, query->groupClause);
        if (query->groupClause == NIL) {
            AddExtremes(reinterpret_cast<Node*>(query->targetList), level);
        }
    } else {
        AddGroup(level, query->distinctClause);
        AddOrder(level);
    }
    return level;
}

void CollectUses(Query* query, PlainStatement* statement) {
    OpenLevel(query, nullptr, statement);
}

}  // namespace upkeep::pg
