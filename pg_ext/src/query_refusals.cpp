// Conditions that a reader may expect an index for and that no index of the kinds proposed serves:
// each is told, so that the advice is not silent about it. C-like: may raise.
// SPDX-License-Identifier: PostgreSQL
#include "query_level.h"

#include "compat.h"

extern "C" {
#include "access/stratnum.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace upkeep::pg {

namespace {

using advisor::IndexKind;

void Refuse(Level* level, Column column, const char* condition, IndexKind kind,
            const char* because) {
    PlainUse* use = &level->statement->uses.items[column.use];
    PlainOffer* offer = use->conditions.Add();
    offer->kind = kind;
    offer->op = advisor::Operator::kEqual;
    offer->opclass = "";
    offer->sql = "";
    offer->text = psprintf("%s %s", quote_identifier(get_attname(use->relid, column.attno, false)),
                           condition);
    offer->refused = because;
}

bool IsNotLike(Oid op) {
    const Oid negator = get_negator(op);
    return OidIsValid(negator) && IsAnyLike(negator);
}

/// `<>`: what a B-tree compares for equality, negated.
bool IsUnequal(Oid op, Node* left) {
    const Oid negator = get_negator(op);
    return OidIsValid(negator) &&
           StrategyOf(negator, exprType(Bare(left))) == BTEqualStrategyNumber;
}

void NotePattern(Level* level, Column column, const OpExpr* clause, Node* pattern) {
    const char* name = IsLike(clause->opno) ? "LIKE ..." : "ILIKE ...";
    pattern = Bare(pattern);
    if (pattern == nullptr || !IsA(pattern, Const)) {
        Refuse(level, column, name, IndexKind::kTrigram,
               "which index serves it depends on the pattern, which is not known here: ask with "
               "the pattern in its place");
    } else if (!HasTrigram(pattern) && !(IsLike(clause->opno) && HasLiteralPrefix(pattern))) {
        Refuse(level, column, name, IndexKind::kTrigram,
               "the pattern has no three letters or digits in a row, which an index on trigrams "
               "needs");
    }
}

void NoteComparison(Level* level, OpExpr* clause) {
    if (list_length(clause->args) != 2) {
        return;
    }
    auto* left = static_cast<Node*>(linitial(clause->args));
    auto* right = static_cast<Node*>(lsecond(clause->args));
    const Column column = Resolve(level, left);
    if (column.use < 0) {
        return;
    }
    if (IsUnequal(clause->opno, left)) {
        Refuse(level, column, "<> ...", IndexKind::kBtree,
               "an index finds what is equal or in a range, not all the rest");
    } else if (IsNotLike(clause->opno)) {
        Refuse(level, column, "NOT LIKE ...", IndexKind::kTrigram,
               "an index finds what is like a pattern, not all the rest");
    } else if (IsAnyLike(clause->opno)) {
        NotePattern(level, column, clause, right);
    }
}

}  // namespace

void NoteRefusals(Level* level, Node* clause) {
    if (IsA(clause, OpExpr)) {
        NoteComparison(level, reinterpret_cast<OpExpr*>(clause));
    } else if (IsA(clause, ScalarArrayOpExpr)) {
        auto* in = reinterpret_cast<ScalarArrayOpExpr*>(clause);
        auto* left = static_cast<Node*>(linitial(in->args));
        const Column column = Resolve(level, left);
        if (column.use >= 0 && !in->useOr && IsUnequal(in->opno, left)) {
            Refuse(level, column, "NOT IN (...)", IndexKind::kBtree,
                   "an index finds what is equal or in a range, not all the rest");
        }
    }
}

}  // namespace upkeep::pg
