// SPDX-License-Identifier: PostgreSQL
#include "lint_walk.h"

#include <algorithm>
#include <cstring>

#include "cast_notes.h"
#include "compat.h"
#include "lint_index.h"

extern "C" {
#include "access/stratnum.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/ruleutils.h"
}

namespace upkeep::pg {

namespace {

/// What every step needs: the level's query and what is found.
struct Walk {
    Query* query;
    PlainLint* out;
    const Bitmapset* wildcards;
};

Node* Bare(Node* node) {
    while (node != nullptr && IsA(node, RelabelType)) {
        node = reinterpret_cast<Node*>(reinterpret_cast<RelabelType*>(node)->arg);
    }
    return node;
}

/// The base relation's column that a Var of this level shows; relid InvalidOid: none.
struct Column {
    Oid relid = InvalidOid;
    AttrNumber attno = 0;
    int varno = 0;
};

Column ColumnOf(const Query* query, Node* node) {
    node = Bare(node);
    if (node == nullptr || !IsA(node, Var)) {
        return {};
    }
    auto* var = reinterpret_cast<Var*>(node);
    if (var->varlevelsup != 0 || var->varattno <= 0 || var->varno <= 0 ||
        var->varno > list_length(query->rtable)) {
        return {};
    }
    RangeTblEntry* entry = rt_fetch(var->varno, query->rtable);
    if (entry->rtekind == RTE_JOIN) {
        return ColumnOf(query,
                        static_cast<Node*>(list_nth(entry->joinaliasvars, var->varattno - 1)));
    }
    if (entry->rtekind != RTE_RELATION || entry->relkind == RELKIND_VIEW) {
        return {};
    }
    return {entry->relid, var->varattno, static_cast<int>(var->varno)};
}

/// The one column that an expression is about; none if there are several.
struct OneColumn {
    const Query* query;
    Column column;
    bool has_several;
    bool has_parameter;
    Oid function;  // the outermost call
};

bool FindColumn(Node* node, void* data) {
    auto* found = static_cast<OneColumn*>(data);
    if (node == nullptr) {
        return false;
    }
    found->has_parameter = found->has_parameter || IsA(node, Param);
    if (IsA(node, Var)) {
        const Column column = ColumnOf(found->query, node);
        found->has_several =
            found->has_several || !OidIsValid(column.relid) ||
            (OidIsValid(found->column.relid) &&
             (column.varno != found->column.varno || column.attno != found->column.attno));
        found->column = column;
        return false;
    }
    if (IsA(node, Query) || IsA(node, Aggref) || IsA(node, WindowFunc)) {
        found->has_several = true;
        return false;
    }
    return WalkExpression(node, FindColumn, data);
}

/// The expression over the relation as its only one: how an index would hold it.
Node* AsIndexed(Node* node, int varno) {
    Node* copy = CopyTree(node);
    if (varno != 1) {
        ChangeVarNodes(copy, varno, 1, 0);
    }
    return copy;
}

PlainCondition Describe(Node* node, const Column& column) {
    PlainCondition made = {};
    made.relid = column.relid;
    made.attno = column.attno;
    made.index_name = LeadingIndex(column.relid, column.attno);
    const char* table = get_rel_name(column.relid);
    made.expression = deparse_expression(
        AsIndexed(node, column.varno),
        deparse_context_for(table == nullptr ? "?" : table, column.relid), false, false);
    return made;
}

bool IsCall(Node* node) {
    if (IsA(node, FuncExpr)) {
        auto* call = reinterpret_cast<FuncExpr*>(node);
        return call->funcformat != COERCE_IMPLICIT_CAST && !call->funcretset;
    }
    return IsA(node, CoerceViaIO) &&
           reinterpret_cast<CoerceViaIO*>(node)->coerceformat != COERCE_IMPLICIT_CAST;
}

/// Does the other side hold nothing of this table?
bool IsApart(Walk* walk, Node* other, int varno) {
    return !bms_is_member(varno, pull_varnos_of_level(nullptr, other, 0)) && walk != nullptr;
}

void CheckCall(Walk* walk, Node* side, Node* other) {
    side = Bare(side);
    if (side == nullptr || !IsCall(side)) {
        return;
    }
    OneColumn found = {walk->query, {}, false, false, InvalidOid};
    FindColumn(side, &found);
    if (found.has_several || !OidIsValid(found.column.relid) ||
        !IsApart(walk, other, found.column.varno)) {
        return;
    }
    Node* indexed = AsIndexed(side, found.column.varno);
    if (HasExpressionIndex(found.column.relid, indexed, found.has_parameter)) {
        return;
    }
    PlainCondition* made = walk->out->functions.Add();
    *made = Describe(side, found.column);
    made->can_be_indexed = !found.has_parameter && !contain_mutable_functions(indexed);
}

void CheckConversion(Walk* walk, Node* side, Node* other) {
    Var* var = ConvertedColumn(side);
    const Column column = ColumnOf(walk->query, reinterpret_cast<Node*>(var));
    if (!OidIsValid(column.relid) || !IsApart(walk, other, column.varno)) {
        return;
    }
    PlainCondition made = Describe(Bare(side), column);
    if (made.index_name[0] == '\0' ||
        HasExpressionIndex(column.relid, AsIndexed(Bare(side), column.varno), false)) {
        return;
    }
    made.expression =
        psprintf("%s::%s", quote_identifier(get_attname(column.relid, column.attno, false)),
                 format_type_be(exprType(Bare(side))));
    made.detail = format_type_be(exprType(Bare(other)));
    *walk->out->casts.Add() = made;
}

/// The parameter that a pattern begins with: `$1`, `$1 || $2`; 0: none.
int FirstParameter(Node* node) {
    node = Bare(node);
    while (node != nullptr && IsA(node, OpExpr)) {
        node = Bare(static_cast<Node*>(linitial(reinterpret_cast<OpExpr*>(node)->args)));
    }
    return node != nullptr && IsA(node, Param) ? reinterpret_cast<Param*>(node)->paramid : 0;
}

void CheckPattern(Walk* walk, OpExpr* clause) {
    const char* name = get_opname(clause->opno);
    if (name == nullptr || (strcmp(name, "~~") != 0 && strcmp(name, "~~*") != 0)) {
        return;
    }
    const Column column = ColumnOf(walk->query, static_cast<Node*>(linitial(clause->args)));
    const int parameter = FirstParameter(static_cast<Node*>(lsecond(clause->args)));
    if (OidIsValid(column.relid) && parameter > 0 && bms_is_member(parameter, walk->wildcards) &&
        !HasPatternIndex(column.relid, column.attno)) {
        *walk->out->wildcards.Add() =
            Describe(Bare(static_cast<Node*>(linitial(clause->args))), column);
    }
}

/// Conditions that say by themselves that a column of the level is not NULL.
bool ExcludesNull(const Query* query, Node* quals, const Column& column) {
    ListCell* cell = nullptr;
    foreach (cell, make_ands_implicit(reinterpret_cast<Expr*>(quals))) {
        auto* clause = static_cast<Node*>(lfirst(cell));
        if (IsA(clause, NullTest) &&
            reinterpret_cast<NullTest*>(clause)->nulltesttype == IS_NOT_NULL) {
            const Column tested =
                ColumnOf(query, reinterpret_cast<Node*>(reinterpret_cast<NullTest*>(clause)->arg));
            if (tested.varno == column.varno && tested.attno == column.attno) {
                return true;
            }
        }
        if (IsA(clause, OpExpr)) {  // comparisons are strict
            ListCell* arg = nullptr;
            foreach (arg, reinterpret_cast<OpExpr*>(clause)->args) {
                const Column compared = ColumnOf(query, static_cast<Node*>(lfirst(arg)));
                if (compared.varno == column.varno && compared.attno == column.attno) {
                    return true;
                }
            }
        }
    }
    return false;
}

bool IsNotIn(SubLink* link, bool is_negated) {
    if (link->testexpr == nullptr || !IsA(link->testexpr, OpExpr)) {
        return false;
    }
    const char* name = get_opname(reinterpret_cast<OpExpr*>(link->testexpr)->opno);
    return name != nullptr &&
           ((is_negated && link->subLinkType == ANY_SUBLINK && strcmp(name, "=") == 0) ||
            (!is_negated && link->subLinkType == ALL_SUBLINK && strcmp(name, "<>") == 0));
}

void CheckNotIn(Walk* walk, SubLink* link, bool is_negated) {
    if (!IsNotIn(link, is_negated) || !IsA(link->subselect, Query)) {
        return;
    }
    auto* inner = reinterpret_cast<Query*>(link->subselect);
    if (inner->setOperations != nullptr || inner->targetList == NIL) {
        return;
    }
    auto* shown = reinterpret_cast<Node*>(linitial_node(TargetEntry, inner->targetList)->expr);
    const Column column = ColumnOf(inner, shown);
    if (!OidIsValid(column.relid) || IsNotNull(column.relid, column.attno) ||
        ExcludesNull(inner, inner->jointree->quals, column)) {
        return;
    }
    *walk->out->not_in.Add() = Describe(Bare(shown), column);
}

void CheckClause(Walk* walk, Node* clause) {
    if (clause == nullptr) {
        return;
    }
    if (IsA(clause, List)) {
        ListCell* cell = nullptr;
        foreach (cell, reinterpret_cast<List*>(clause)) {
            CheckClause(walk, static_cast<Node*>(lfirst(cell)));
        }
    } else if (IsA(clause, BoolExpr)) {
        auto* expression = reinterpret_cast<BoolExpr*>(clause);
        auto* first = static_cast<Node*>(linitial(expression->args));
        if (expression->boolop == NOT_EXPR && IsA(first, SubLink)) {
            CheckNotIn(walk, reinterpret_cast<SubLink*>(first), true);
        } else if (expression->boolop != NOT_EXPR) {
            CheckClause(walk, reinterpret_cast<Node*>(expression->args));
        }
    } else if (IsA(clause, SubLink)) {
        CheckNotIn(walk, reinterpret_cast<SubLink*>(clause), false);
    } else if (IsA(clause, OpExpr) || IsA(clause, ScalarArrayOpExpr)) {
        List* args = IsA(clause, OpExpr) ? reinterpret_cast<OpExpr*>(clause)->args
                                         : reinterpret_cast<ScalarArrayOpExpr*>(clause)->args;
        if (list_length(args) != 2) {
            return;
        }
        auto* left = static_cast<Node*>(linitial(args));
        auto* right = static_cast<Node*>(lsecond(args));
        CheckCall(walk, left, right);
        CheckConversion(walk, left, right);
        if (IsA(clause, OpExpr)) {
            CheckCall(walk, right, left);
            CheckConversion(walk, right, left);
            CheckPattern(walk, reinterpret_cast<OpExpr*>(clause));
        }
    }
}

void CheckJoinTree(Walk* walk, Node* node) {
    if (node == nullptr) {
        return;
    }
    ListCell* cell = nullptr;
    if (IsA(node, FromExpr)) {
        auto* from = reinterpret_cast<FromExpr*>(node);
        foreach (cell, from->fromlist) {
            CheckJoinTree(walk, static_cast<Node*>(lfirst(cell)));
        }
        CheckClause(walk, from->quals);
    } else if (IsA(node, JoinExpr)) {
        auto* join = reinterpret_cast<JoinExpr*>(node);
        CheckJoinTree(walk, join->larg);
        CheckJoinTree(walk, join->rarg);
        CheckClause(walk, join->quals);
    }
}

bool LevelsWalker(Node* node, void* data) {
    auto* walk = static_cast<Walk*>(data);
    if (node == nullptr) {
        return false;
    }
    if (IsA(node, Query)) {
        Walk level = {reinterpret_cast<Query*>(node), walk->out, walk->wildcards};
        CheckJoinTree(&level, reinterpret_cast<Node*>(level.query->jointree));
        return WalkQuery(level.query, LevelsWalker, &level, 0);
    }
    return WalkExpression(node, LevelsWalker, data);
}

// --- paging

bool IsValue(Node* node) {
    node = Bare(node);
    return node != nullptr && (IsA(node, Const) || IsA(node, Param));
}

/// Looks through the AND-ed conditions: columns compared for equality, and whether one is a strict
/// range after the value last seen.
struct Paging {
    Bitmapset* fixed = nullptr;
    bool goes_on = false;
};

Paging ReadPaging(Query* query, const Column& first, bool is_descending) {
    Paging paging;
    ListCell* cell = nullptr;
    List* clauses = make_ands_implicit(reinterpret_cast<Expr*>(query->jointree->quals));
    foreach (cell, clauses) {
        auto* clause = static_cast<Node*>(lfirst(cell));
        if (!IsA(clause, OpExpr) || list_length(reinterpret_cast<OpExpr*>(clause)->args) != 2) {
            continue;
        }
        auto* comparison = reinterpret_cast<OpExpr*>(clause);
        auto* left = static_cast<Node*>(linitial(comparison->args));
        auto* right = static_cast<Node*>(lsecond(comparison->args));
        const bool is_swapped = IsValue(left);
        const Column column = ColumnOf(query, is_swapped ? right : left);
        if (!OidIsValid(column.relid) || column.varno != first.varno ||
            !IsValue(is_swapped ? left : right)) {
            continue;
        }
        const Oid op = is_swapped ? get_commutator(comparison->opno) : comparison->opno;
        const int strategy = BtreeStrategy(op, column.relid, column.attno);
        if (strategy == BTEqualStrategyNumber) {
            paging.fixed = bms_add_member(paging.fixed, column.attno);
        }
        paging.goes_on =
            paging.goes_on ||
            (column.attno == first.attno &&
             strategy == (is_descending ? BTLessStrategyNumber : BTGreaterStrategyNumber));
    }
    return paging;
}

void CheckKeyset(Query* query, PlainLint* out) {
    if (query->limitCount == nullptr || query->sortClause == NIL || query->hasAggs ||
        query->groupClause != NIL || query->distinctClause != NIL ||
        query->setOperations != nullptr || list_length(query->jointree->fromlist) != 1 ||
        !IsA(linitial(query->jointree->fromlist), RangeTblRef)) {
        return;
    }
    Column first;
    Bitmapset* covered = nullptr;
    ListCell* cell = nullptr;
    foreach (cell, query->sortClause) {
        auto* sort = lfirst_node(SortGroupClause, cell);
        const Column column = ColumnOf(query, get_sortgroupclause_expr(sort, query->targetList));
        Oid family = InvalidOid;
        Oid type = InvalidOid;
        int16 strategy = 0;
        if (!OidIsValid(column.relid) ||
            !get_ordering_op_properties(sort->sortop, &family, &type, &strategy)) {
            return;
        }
        if (!OidIsValid(first.relid)) {
            first = column;
            out->is_descending = strategy == BTGreaterStrategyNumber;
        }
        covered = bms_add_member(covered, column.attno);
        *out->keyset_order.Add() = column.attno;
    }
    const Paging paging = ReadPaging(query, first, out->is_descending);
    covered = bms_add_members(covered, paging.fixed);
    if (!paging.goes_on || IsUniqueOver(first.relid, covered)) {
        return;
    }
    out->keyset = first.relid;
    AddUniqueKey(first.relid, &out->tie_breaker);
}

void AddShown(Query* query, PlainLint* out) {
    ListCell* cell = nullptr;
    foreach (cell, query->rtable) {
        auto* entry = lfirst_node(RangeTblEntry, cell);
        if (OidIsValid(entry->relid) && entry->inFromCl) {
            PlainMention* mention = out->shown.Add();
            mention->relid = entry->relid;
            mention->alias = pstrdup(entry->eref->aliasname);
        }
    }
}

}  // namespace

PlainLint* WalkForLint(Query* query, const Bitmapset* wildcards) {
    auto* out = static_cast<PlainLint*>(palloc0(sizeof(PlainLint)));
    out->has_limit = query->limitCount != nullptr;
    out->has_offset = query->limitOffset != nullptr;
    Walk walk = {query, out, wildcards};
    LevelsWalker(reinterpret_cast<Node*>(query), &walk);
    if (query->commandType == CMD_SELECT) {
        AddShown(query, out);
        CheckKeyset(query, out);
    }
    return out;
}

}  // namespace upkeep::pg
