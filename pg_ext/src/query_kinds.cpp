// What the conditions of a statement offer to indexes that are more than B-trees over columns:
//
//   status = 'failed'            partial      the condition itself, if it holds for every execution
//   lower(email) = …             expression   immutable ones only, else a refusal that says so
//   doc @> …, tags && …, ts @@   gin          the operator class that knows the operator
//   name ILIKE '%abc%'           trigram      where pg_trgm is installed, else a refusal
//
// C-like: may raise. SPDX-License-Identifier: PostgreSQL
#include "query_level.h"

#include "compat.h"
#include "query_walk.h"

extern "C" {
#include "catalog/pg_am.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "commands/defrem.h"
#include "nodes/bitmapset.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/pg_locale.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
}

namespace upkeep::pg {

namespace {

using advisor::IndexKind;
using advisor::Operator;

constexpr int kTrigramLetters = 3;

/// An expression over one use of a relation, its Vars numbered 1; tree == nullptr: it is none.
struct OnOneUse {
    Node* tree;
    int use;
    Bitmapset* columns;
};

struct Rebasing {
    Level* level;
    int use = -1;
    bool is_failed = false;
    Bitmapset* columns = nullptr;
};

Node* Rebase(Node* node, void* context);

/// A column of a subquery or view that is an expression there.
Node* RebaseShown(Var* var, Rebasing* to) {
    Level* level = to->level;
    if (var->varlevelsup == 0 && var->varno > 0 &&
        var->varno <= list_length(level->query->rtable)) {
        Level* below = level->level_of[var->varno];
        if (below != nullptr && below->query->setOperations == nullptr) {
            TargetEntry* target = get_tle_by_resno(below->query->targetList, var->varattno);
            if (target != nullptr && !target->resjunk) {
                to->level = below;
                Node* shown = Rebase(reinterpret_cast<Node*>(target->expr), to);
                to->level = level;
                return shown;
            }
        }
    }
    to->is_failed = true;
    return reinterpret_cast<Node*>(var);
}

Node* Rebase(Node* node, void* context) {
    auto* to = static_cast<Rebasing*>(context);
    if (node == nullptr || to->is_failed) {
        return node;
    }
    switch (nodeTag(node)) {
        case T_Var: {
            const Column column = Resolve(to->level, node);
            if (column.use < 0) {
                return RebaseShown(reinterpret_cast<Var*>(node), to);
            }
            if (to->use >= 0 && to->use != column.use) {
                to->is_failed = true;
                return node;
            }
            to->use = column.use;
            to->columns = bms_add_member(to->columns, column.attno);
            auto* var = reinterpret_cast<Var*>(node);
            return reinterpret_cast<Node*>(
                makeVar(1, column.attno, var->vartype, var->vartypmod, var->varcollid, 0));
        }
        case T_Param:
        case T_SubLink:
        case T_Query:
        case T_Aggref:
        case T_WindowFunc:
        case T_GroupingFunc:
        case T_CurrentOfExpr:
        case T_NextValueExpr:
        case T_SetToDefault:
            to->is_failed = true;
            return node;
        default:
            return MutateExpression(node, Rebase, context);
    }
}

OnOneUse ToOneUse(Level* level, Node* node) {
    Rebasing to = {level};
    Node* tree = Rebase(node, &to);
    return to.is_failed || to.use < 0 ? OnOneUse{nullptr, -1, nullptr}
                                      : OnOneUse{tree, to.use, to.columns};
}

PlainUse* UseAt(Level* level, int use) {
    return &level->statement->uses.items[use];
}

const char* Written(Level* level, const OnOneUse& part) {
    const Oid relid = UseAt(level, part.use)->relid;
    return deparse_expression(part.tree, deparse_context_for(get_rel_name(relid), relid), false,
                              false);
}

bool IsMutable(Node* tree) {
    return contain_mutable_functions(
        reinterpret_cast<Node*>(expression_planner(reinterpret_cast<Expr*>(copyObjectImpl(tree)))));
}

/// A key: the plain column where it is one, else the expression.
PlainOffer* AddKey(Level* level, const OnOneUse& part, IndexKind kind) {
    PlainOffer* condition = UseAt(level, part.use)->conditions.Add();
    Node* bare = Bare(part.tree);
    condition->kind = kind;
    condition->op = Operator::kEqual;
    condition->opclass = "";
    condition->columns = part.columns;
    condition->sql = "";
    if (IsA(bare, Var)) {
        condition->attno = reinterpret_cast<Var*>(bare)->varattno;
        condition->text =
            quote_identifier(get_attname(UseAt(level, part.use)->relid, condition->attno, false));
    } else {
        condition->sql = condition->text = Written(level, part);
        if (IsMutable(part.tree)) {
            condition->refused =
                "not every function in it is immutable: its result may change with settings, so "
                "it cannot be indexed";
        }
    }
    return condition;
}

void Refuse(PlainOffer* condition, const char* because) {
    if (condition->refused == nullptr) {
        condition->refused = because;
    }
}

bool UsesColumnsOf(Level* level, Node* node, int use) {
    ListCell* cell = nullptr;
    foreach (cell, pull_vars_of_level(node, 0)) {
        if (Resolve(level, static_cast<Node*>(lfirst(cell))).use == use) {
            return true;
        }
    }
    return false;
}

/// A cast of a column that nobody wrote; printed it looks like the column itself.
bool IsImplicitCast(Node* node) {
    Node* inside = nullptr;
    if (IsA(node, FuncExpr) &&
        reinterpret_cast<FuncExpr*>(node)->funcformat == COERCE_IMPLICIT_CAST) {
        inside = static_cast<Node*>(linitial(reinterpret_cast<FuncExpr*>(node)->args));
    } else if (IsA(node, CoerceViaIO) &&
               reinterpret_cast<CoerceViaIO*>(node)->coerceformat == COERCE_IMPLICIT_CAST) {
        inside = reinterpret_cast<Node*>(reinterpret_cast<CoerceViaIO*>(node)->arg);
    }
    inside = Bare(inside);
    return inside != nullptr && IsA(inside, Var);
}

void AddExpression(Level* level, const OnOneUse& part, Oid op, Node* other) {
    Node* bare = Bare(part.tree);
    const int strategy = OidIsValid(op) ? StrategyOf(op, exprType(bare)) : 0;
    if (IsA(bare, Var) || strategy == 0) {
        return;
    }
    PlainOffer* condition = AddKey(level, part, IndexKind::kExpression);
    if (IsImplicitCast(bare)) {
        Refuse(condition, psprintf("the column is cast to %s for the comparison: give a value of "
                                   "the column's own type",
                                   format_type_be(exprType(bare))));
    }
    const bool is_equal = strategy == BTEqualStrategyNumber;
    condition->op = !is_equal                                             ? Operator::kRange
                    : other != nullptr && contain_vars_of_level(other, 0) ? Operator::kJoin
                                                                          : Operator::kEqual;
    condition->text = psprintf("%s %s", condition->text, is_equal ? "= ..." : "in a range");
}

/// The operator class in DDL: qualified where the search path does not show it.
const char* OperatorClassName(Oid opclass) {
    HeapTuple tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
    if (!HeapTupleIsValid(tuple)) {
        return "";
    }
    auto* form = reinterpret_cast<Form_pg_opclass>(GETSTRUCT(tuple));
    const char* name = OpclassIsVisible(opclass)
                           ? pstrdup(quote_identifier(NameStr(form->opcname)))
                           : quote_qualified_identifier(get_namespace_name(form->opcnamespace),
                                                        NameStr(form->opcname));
    ReleaseSysCache(tuple);
    return name;
}

}  // namespace

Oid GinClassByName(const char* name) {
    CatCList* list = SearchSysCacheList1(CLAAMNAMENSP, ObjectIdGetDatum(GIN_AM_OID));
    Oid found = InvalidOid;
    for (int i = 0; i < list->n_members; ++i) {
        auto* form = reinterpret_cast<Form_pg_opclass>(GETSTRUCT(&list->members[i]->tuple));
        if (strcmp(NameStr(form->opcname), name) == 0) {
            found = form->oid;
        }
    }
    ReleaseSysCacheList(list);
    return found;
}

namespace {

bool Knows(Oid opclass, Oid op) {
    return OidIsValid(opclass) && get_op_opfamily_strategy(op, get_opclass_family(opclass)) != 0;
}

void AddGin(Level* level, const OnOneUse& part, Oid op) {
    const Oid type = exprType(Bare(part.tree));
    if (!OidIsValid(op) || StrategyOf(op, type) != 0) {
        return;  // equality and order: a B-tree serves those
    }
    const Oid by_default = GetDefaultOpClass(type, GIN_AM_OID);
    const Oid by_path = type == JSONBOID ? GinClassByName("jsonb_path_ops") : InvalidOid;
    const bool has_path = Knows(by_path, op);
    if (!has_path && !Knows(by_default, op)) {
        return;
    }
    PlainOffer* condition = AddKey(level, part, IndexKind::kGin);
    condition->opclass = has_path ? OperatorClassName(by_path) : "";
    condition->text = psprintf("%s %s ...", condition->text, get_opname(op));
}

bool IsCaseless(Oid op) {
    return op == OID_TEXT_ICLIKE_OP || op == OID_BPCHAR_ICLIKE_OP || op == OID_NAME_ICLIKE_OP;
}

}  // namespace

bool IsAnyLike(Oid operator_oid) {
    return IsLike(operator_oid) || IsCaseless(operator_oid);
}

bool HasTrigram(Node* pattern) {
    pattern = Bare(pattern);
    if (pattern == nullptr || !IsA(pattern, Const)) {
        return false;
    }
    auto* constant = reinterpret_cast<Const*>(pattern);
    if (constant->constisnull || constant->consttype != TEXTOID) {
        return false;
    }
    int letters = 0;
    for (const char* at = TextDatumGetCString(constant->constvalue); *at != '\0'; ++at) {
        const bool is_letter = isalnum(static_cast<unsigned char>(*at)) || IS_HIGHBIT_SET(*at);
        letters = is_letter ? letters + 1 : 0;
        if (letters == kTrigramLetters) {
            return true;
        }
    }
    return false;
}

namespace {

/// A pattern for trigrams, without a head that a B-tree serves.
bool IsInfix(const OpExpr* clause, Node* pattern) {
    const bool has_head =
        IsLike(clause->opno) && lc_collate_is_c(clause->inputcollid) && HasLiteralPrefix(pattern);
    return !has_head && HasTrigram(pattern);
}

void AddTrigram(Level* level, const OnOneUse& part, const OpExpr* clause, Node* pattern) {
    const bool is_like = IsLike(clause->opno) || IsCaseless(clause->opno);
    const Oid opclass = GinClassByName(kTrigramClass);
    if ((!is_like && !Knows(opclass, clause->opno)) || !IsInfix(clause, pattern)) {
        return;
    }
    PlainOffer* condition = AddKey(level, part, IndexKind::kTrigram);
    condition->text = psprintf("%s %s '...'", condition->text,
                               IsLike(clause->opno)       ? "LIKE"
                               : IsCaseless(clause->opno) ? "ILIKE"
                                                          : get_opname(clause->opno));
    if (!OidIsValid(opclass)) {
        Refuse(condition,
               "the extension pg_trgm is not installed in this database: CREATE EXTENSION pg_trgm, "
               "then ask again");
    } else {
        condition->opclass = OperatorClassName(opclass);
    }
}

void AddComparisonKinds(Level* level, OpExpr* clause) {
    if (list_length(clause->args) != 2) {
        return;
    }
    for (int side = 0; side < 2; ++side) {
        auto* here = static_cast<Node*>(list_nth(clause->args, side));
        auto* other = static_cast<Node*>(list_nth(clause->args, 1 - side));
        const OnOneUse part = ToOneUse(level, here);
        if (part.tree == nullptr || UsesColumnsOf(level, other, part.use)) {
            continue;
        }
        const Oid op = side == 0 ? clause->opno : get_commutator(clause->opno);
        AddExpression(level, part, op, other);
        AddGin(level, part, op);
        if (side == 0) {
            AddTrigram(level, part, clause, other);
        }
    }
}

void AddArrayKinds(Level* level, ScalarArrayOpExpr* clause) {
    auto* left = static_cast<Node*>(linitial(clause->args));
    auto* right = static_cast<Node*>(lsecond(clause->args));
    const OnOneUse part = ToOneUse(level, left);
    if (part.tree != nullptr && clause->useOr) {
        const Node* bare = Bare(part.tree);
        if (!IsA(bare, Var) && StrategyOf(clause->opno, exprType(bare)) == BTEqualStrategyNumber) {
            PlainOffer* condition = AddKey(level, part, IndexKind::kExpression);
            condition->op = Operator::kIn;
            condition->text = psprintf("%s IN (...)", condition->text);
        }
    }
    const OnOneUse array = ToOneUse(level, right);
    if (array.tree != nullptr && clause->useOr) {
        PlainOffer* condition = AddKey(level, array, IndexKind::kGin);
        Refuse(condition, psprintf("no index serves ... = ANY (%s): write %s @> ARRAY[...]",
                                   condition->text, condition->text));
    }
}

/// May a condition of this form stand in an index's WHERE? Ranges may not: their constants age.
bool IsPartialForm(Node* clause) {
    switch (nodeTag(clause)) {
        case T_NullTest:
        case T_BooleanTest:
        case T_Var:
            return true;
        case T_ScalarArrayOpExpr: {
            auto* in = reinterpret_cast<ScalarArrayOpExpr*>(clause);
            Node* left = static_cast<Node*>(linitial(in->args));
            return in->useOr && StrategyOf(in->opno, exprType(Bare(left))) == BTEqualStrategyNumber;
        }
        case T_OpExpr: {
            auto* op = reinterpret_cast<OpExpr*>(clause);
            if (list_length(op->args) != 2) {
                return false;
            }
            Node* left = Bare(static_cast<Node*>(linitial(op->args)));
            const Oid negator = get_negator(op->opno);
            return StrategyOf(op->opno, exprType(left)) == BTEqualStrategyNumber ||
                   (OidIsValid(negator) &&
                    StrategyOf(negator, exprType(left)) == BTEqualStrategyNumber);
        }
        case T_BoolExpr: {
            ListCell* cell = nullptr;
            foreach (cell, reinterpret_cast<BoolExpr*>(clause)->args) {
                if (!IsPartialForm(static_cast<Node*>(lfirst(cell)))) {
                    return false;
                }
            }
            return true;
        }
        default:
            return false;
    }
}

/// `x = y` of one row says little that is worth an index; a constant must be in it somewhere.
bool HasOneColumnEach(const OnOneUse& part, Node* clause) {
    return !IsA(clause, OpExpr) || bms_num_members(part.columns) == 1;
}

void AddPartial(Level* level, Node* clause) {
    if (!IsPartialForm(clause)) {
        return;
    }
    const OnOneUse part = ToOneUse(level, clause);
    if (part.tree == nullptr || !HasOneColumnEach(part, clause) || IsMutable(part.tree)) {
        return;
    }
    PlainOffer* condition = UseAt(level, part.use)->conditions.Add();
    condition->kind = IndexKind::kPartial;
    condition->op = IsA(clause, NullTest) ? Operator::kIsNull : Operator::kEqual;
    condition->opclass = "";
    condition->columns = part.columns;
    condition->sql = condition->text = Written(level, part);
    condition->predicate = make_ands_implicit(canonicalize_qual(
        reinterpret_cast<Expr*>(eval_const_expressions(nullptr, part.tree)), false));
    fix_opfuncids(reinterpret_cast<Node*>(condition->predicate));
}

}  // namespace

void AddKinds(Level* level, Node* clause) {
    if (IsA(clause, BoolExpr) && reinterpret_cast<BoolExpr*>(clause)->boolop == AND_EXPR) {
        return;  // part by part
    }
    NoteJson(level, clause);
    NoteRefusals(level, clause);
    AddPartial(level, clause);
    if (IsA(clause, OpExpr)) {
        AddComparisonKinds(level, reinterpret_cast<OpExpr*>(clause));
    } else if (IsA(clause, ScalarArrayOpExpr)) {
        AddArrayKinds(level, reinterpret_cast<ScalarArrayOpExpr*>(clause));
    }
}

}  // namespace upkeep::pg
