// SPDX-License-Identifier: PostgreSQL
#include "query_level.h"

#include "compat.h"

extern "C" {
#include "access/stratnum.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_am.h"
#include "catalog/pg_operator.h"
#include "commands/defrem.h"
#include "nodes/bitmapset.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/pg_locale.h"
#include "utils/syscache.h"
}

namespace upkeep::pg {

namespace {

using advisor::Operator;

Level* Upwards(Level* level, Index steps) {
    while (level != nullptr && steps > 0) {
        level = level->parent;
        --steps;
    }
    return level;
}

}  // namespace

Node* Bare(Node* node) {
    while (node != nullptr && IsA(node, RelabelType)) {
        node = reinterpret_cast<Node*>(reinterpret_cast<RelabelType*>(node)->arg);
    }
    return node;
}

Column Resolve(Level* level, Node* node) {
    node = Bare(node);
    if (node == nullptr || !IsA(node, Var)) {
        return {};
    }
    auto* var = reinterpret_cast<Var*>(node);
    level = Upwards(level, var->varlevelsup);
    if (level == nullptr || var->varno <= 0 || var->varno > list_length(level->query->rtable)) {
        return {};
    }
    if (level->use_of[var->varno] >= 0) {
        return var->varattno > 0 ? Column{level->use_of[var->varno], var->varattno} : Column{};
    }
    RangeTblEntry* entry = rt_fetch(var->varno, level->query->rtable);
    if (entry->rtekind == RTE_JOIN && var->varattno > 0) {
        Node* alias = static_cast<Node*>(list_nth(entry->joinaliasvars, var->varattno - 1));
        return Resolve(level, alias);
    }
    Level* below = level->level_of[var->varno];
    if (below == nullptr) {
        return {};
    }
    TargetEntry* target = get_tle_by_resno(below->query->targetList, var->varattno);
    return target == nullptr || below->query->setOperations != nullptr
               ? Column{}
               : Resolve(below, reinterpret_cast<Node*>(target->expr));
}

int StrategyOf(Oid operator_oid, Oid type) {
    const Oid opclass = GetDefaultOpClass(type, BTREE_AM_OID);
    return OidIsValid(opclass) ? get_op_opfamily_strategy(operator_oid, get_opclass_family(opclass))
                               : 0;
}

bool IsLike(Oid operator_oid) {
    return operator_oid == OID_TEXT_LIKE_OP || operator_oid == OID_BPCHAR_LIKE_OP ||
           operator_oid == OID_NAME_LIKE_OP;
}

bool HasLiteralPrefix(Node* pattern) {
    pattern = Bare(pattern);
    if (pattern == nullptr || !IsA(pattern, Const)) {
        return false;
    }
    auto* constant = reinterpret_cast<Const*>(pattern);
    if (constant->constisnull || constant->consttype != TEXTOID) {
        return false;
    }
    const char* written = TextDatumGetCString(constant->constvalue);
    return written[0] != '\0' && written[0] != '%' && written[0] != '_';
}

namespace {

void AddPredicate(Level* level, Column column, Operator op) {
    PlainPredicate* predicate = level->statement->uses.items[column.use].predicates.Add();
    predicate->attno = column.attno;
    predicate->op = op;
}

bool IsColumnOfLevel(Level* level, Node* node) {
    node = Bare(node);
    return node != nullptr && IsA(node, Var) && Resolve(level, node).use >= 0 &&
           reinterpret_cast<Var*>(node)->varlevelsup == 0;
}

void AddComparison(Level* level, OpExpr* clause) {
    if (list_length(clause->args) != 2) {
        return;
    }
    auto* left = static_cast<Node*>(linitial(clause->args));
    auto* right = static_cast<Node*>(lsecond(clause->args));
    for (int side = 0; side < 2; ++side) {
        Node* here = side == 0 ? left : right;
        Node* other = side == 0 ? right : left;
        const Column column = Resolve(level, here);
        if (column.use < 0) {
            continue;
        }
        const Oid op = side == 0 ? clause->opno : get_commutator(clause->opno);
        if (side == 0 && IsLike(clause->opno)) {
            if (lc_collate_is_c(clause->inputcollid) && HasLiteralPrefix(other)) {
                AddPredicate(level, column, Operator::kPrefix);
            }
            continue;
        }
        const int strategy = OidIsValid(op) ? StrategyOf(op, exprType(Bare(here))) : 0;
        if (strategy == 0) {
            continue;
        }
        const Column partner = Resolve(level, other);
        if (partner.use >= 0 && partner.use == column.use) {
            continue;  // two columns of one row: no index can seek it
        }
        const bool is_join = partner.use >= 0 || contain_vars_of_level(other, 0);
        AddPredicate(level, column,
                     strategy != BTEqualStrategyNumber ? Operator::kRange
                     : is_join                         ? Operator::kJoin
                                                       : Operator::kEqual);
    }
}

void AddClause(Level* level, Node* clause);

/// The branches of an OR may use an index each: every branch that concerns one relation becomes a
/// use of its own, with the AND-ed predicates of that relation beside it.
void AddOr(Level* level, BoolExpr* clause) {
    PlainStatement* statement = level->statement;
    const int before = statement->uses.count;
    ListCell* cell = nullptr;
    foreach (cell, clause->args) {
        int* counts = static_cast<int*>(palloc(sizeof(int) * (before + 1)));
        int* conditions = static_cast<int*>(palloc(sizeof(int) * (before + 1)));
        for (int i = 0; i < before; ++i) {
            counts[i] = statement->uses.items[i].predicates.count;
            conditions[i] = statement->uses.items[i].conditions.count;
        }
        AddClause(level, static_cast<Node*>(lfirst(cell)));
        for (int i = 0; i < before; ++i) {
            const int added = statement->uses.items[i].predicates.count - counts[i] +
                              statement->uses.items[i].conditions.count - conditions[i];
            if (added > 0) {
                PlainUse* branch = statement->uses.Add();
                PlainUse* base = &statement->uses.items[i];
                branch->relid = base->relid;
                branch->needed = bms_copy(base->needed);
                for (int k = 0; k < base->predicates.count; ++k) {
                    *branch->predicates.Add() = base->predicates.items[k];
                }
                base->predicates.count = counts[i];
                for (int k = 0; k < base->conditions.count; ++k) {
                    *branch->conditions.Add() = base->conditions.items[k];
                }
                base->conditions.count = conditions[i];
            }
        }
    }
}

void AddClause(Level* level, Node* clause) {
    clause = Bare(clause);
    if (clause == nullptr) {
        return;
    }
    AddKinds(level, clause);
    switch (nodeTag(clause)) {
        case T_List: {
            ListCell* cell = nullptr;
            foreach (cell, reinterpret_cast<List*>(clause)) {
                AddClause(level, static_cast<Node*>(lfirst(cell)));
            }
            break;
        }
        case T_BoolExpr: {
            auto* expression = reinterpret_cast<BoolExpr*>(clause);
            if (expression->boolop == AND_EXPR) {
                AddClause(level, reinterpret_cast<Node*>(expression->args));
            } else if (expression->boolop == OR_EXPR) {
                AddOr(level, expression);
            } else {
                Node* inner = static_cast<Node*>(linitial(expression->args));
                if (IsColumnOfLevel(level, inner) || IsA(inner, SubLink)) {
                    AddClause(level, inner);  // NOT flag, NOT EXISTS (…)
                }
            }
            break;
        }
        case T_OpExpr:
            AddComparison(level, reinterpret_cast<OpExpr*>(clause));
            break;
        case T_ScalarArrayOpExpr: {
            auto* expression = reinterpret_cast<ScalarArrayOpExpr*>(clause);
            Node* left = static_cast<Node*>(linitial(expression->args));
            const Column column = Resolve(level, left);
            if (column.use >= 0 && expression->useOr &&
                StrategyOf(expression->opno, exprType(Bare(left))) == BTEqualStrategyNumber) {
                AddPredicate(level, column, Operator::kIn);
            }
            break;
        }
        case T_NullTest: {
            auto* test = reinterpret_cast<NullTest*>(clause);
            const Column column = Resolve(level, reinterpret_cast<Node*>(test->arg));
            if (column.use >= 0 && test->nulltesttype == IS_NULL) {
                AddPredicate(level, column, Operator::kIsNull);
            }
            break;
        }
        case T_BooleanTest: {
            auto* test = reinterpret_cast<BooleanTest*>(clause);
            if (test->booltesttype == IS_TRUE || test->booltesttype == IS_FALSE) {
                AddClause(level, reinterpret_cast<Node*>(test->arg));
            }
            break;
        }
        case T_Var: {
            const Column column = Resolve(level, clause);
            if (column.use >= 0) {
                AddPredicate(level, column, Operator::kEqual);
            }
            break;
        }
        default:
            break;
    }
}

}  // namespace

void AddSublink(Level* level, SubLink* sublink) {
    if (!IsA(sublink->subselect, Query)) {
        return;
    }
    auto* query = reinterpret_cast<Query*>(sublink->subselect);
    Level* below = OpenLevel(query, level, level->statement);
    if (sublink->subLinkType == ANY_SUBLINK && sublink->testexpr != nullptr &&
        IsA(sublink->testexpr, OpExpr)) {
        auto* test = reinterpret_cast<OpExpr*>(sublink->testexpr);
        const Column outer = Resolve(level, static_cast<Node*>(linitial(test->args)));
        if (outer.use >= 0 &&
            StrategyOf(test->opno, exprType(static_cast<Node*>(linitial(test->args)))) ==
                BTEqualStrategyNumber) {
            AddPredicate(level, outer, Operator::kJoin);
        }
        auto* target = linitial_node(TargetEntry, query->targetList);
        const Column inner = Resolve(below, reinterpret_cast<Node*>(target->expr));
        if (inner.use >= 0) {
            AddPredicate(below, inner, Operator::kJoin);
        }
    }
}

void AddJoinTree(Level* level, Node* node) {
    if (node == nullptr) {
        return;
    }
    if (IsA(node, FromExpr)) {
        auto* from = reinterpret_cast<FromExpr*>(node);
        ListCell* cell = nullptr;
        foreach (cell, from->fromlist) {
            AddJoinTree(level, static_cast<Node*>(lfirst(cell)));
        }
        AddClause(level, from->quals);
    } else if (IsA(node, JoinExpr)) {
        auto* join = reinterpret_cast<JoinExpr*>(node);
        AddJoinTree(level, join->larg);
        AddJoinTree(level, join->rarg);
        AddClause(level, join->quals);
    }
}

void AddRowSecurity(Level* level) {
    ListCell* cell = nullptr;
    foreach (cell, level->query->rtable) {
        AddClause(level, reinterpret_cast<Node*>(lfirst_node(RangeTblEntry, cell)->securityQuals));
    }
}

void AddOrder(Level* level) {
    Query* query = level->query;
    int use = -1;
    ListCell* cell = nullptr;
    foreach (cell, query->sortClause) {
        auto* sort = lfirst_node(SortGroupClause, cell);
        const Column column = Resolve(level, get_sortgroupclause_expr(sort, query->targetList));
        Oid family = InvalidOid;
        Oid type = InvalidOid;
        int16 strategy = 0;
        if (column.use < 0 || (use >= 0 && column.use != use) ||
            !get_ordering_op_properties(sort->sortop, &family, &type, &strategy)) {
            return;
        }
        use = column.use;
        PlainUse* target = &level->statement->uses.items[use];
        PlainSortKey* key = target->order.Add();
        key->attno = column.attno;
        key->descending = strategy == BTGreaterStrategyNumber;
        key->nulls_first = sort->nulls_first;
        target->has_limit = query->limitCount != nullptr;
    }
}

void AddGroup(Level* level, List* clauses) {
    ListCell* cell = nullptr;
    foreach (cell, clauses) {
        auto* group = lfirst_node(SortGroupClause, cell);
        const Column column =
            Resolve(level, get_sortgroupclause_expr(group, level->query->targetList));
        if (column.use >= 0) {
            *level->statement->uses.items[column.use].group.Add() = column.attno;
        }
    }
}

bool AddExtremes(Node* node, void* context) {
    auto* level = static_cast<Level*>(context);
    if (node == nullptr) {
        return false;
    }
    if (IsA(node, Aggref)) {
        auto* aggregate = reinterpret_cast<Aggref*>(node);
        HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate->aggfnoid));
        if (HeapTupleIsValid(tuple)) {
            const Oid sort_operator =
                reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple))->aggsortop;
            ReleaseSysCache(tuple);
            if (OidIsValid(sort_operator) && list_length(aggregate->args) == 1) {
                const Column column = Resolve(
                    level,
                    reinterpret_cast<Node*>(linitial_node(TargetEntry, aggregate->args)->expr));
                if (column.use >= 0) {
                    PlainUse* use = &level->statement->uses.items[column.use];
                    PlainSortKey* key = use->order.Add();
                    key->attno = column.attno;
                    use->has_limit = true;
                }
            }
        }
        return false;
    }
    return WalkExpression(node, AddExtremes, context);
}

}  // namespace upkeep::pg
