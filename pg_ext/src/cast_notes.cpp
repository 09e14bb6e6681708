// SPDX-License-Identifier: PostgreSQL
#include "cast_notes.h"

#include <algorithm>
#include <cstring>

#include "compat.h"
#include "plain.h"

extern "C" {
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
}

namespace upkeep::pg {

namespace {

struct NotesContext {
    PlainArray<capture::TextNote>* notes;
    int location;
};

Node* WithoutRelabel(Node* node) {
    while (node != nullptr && IsA(node, RelabelType)) {
        node = reinterpret_cast<Node*>(reinterpret_cast<RelabelType*>(node)->arg);
    }
    return node;
}

void Note(Node* node, NotesContext* context) {
    int at = -1;
    if (IsA(node, Const)) {
        at = reinterpret_cast<Const*>(node)->location;
    } else if (IsA(node, Param)) {
        at = reinterpret_cast<Param*>(node)->location;
    }
    if (at >= context->location && at >= 0) {
        const char* name = format_type_be(exprType(node));
        *context->notes->Add() = {at - std::max(context->location, 0), {name, strlen(name)}};
    }
}

void NoteOther(Node* column, Node* other, NotesContext* context) {
    other = WithoutRelabel(other);
    if (other == nullptr || ConvertedColumn(column) == nullptr) {
        return;
    }
    if (IsA(other, ArrayExpr)) {
        ListCell* cell = nullptr;
        foreach (cell, reinterpret_cast<ArrayExpr*>(other)->elements) {
            Note(WithoutRelabel(static_cast<Node*>(lfirst(cell))), context);
        }
    } else {
        Note(other, context);
    }
}

bool NotesWalker(Node* node, void* data) {
    auto* context = static_cast<NotesContext*>(data);
    if (node == nullptr) {
        return false;
    }
    if (IsA(node, Query)) {
        return WalkQuery(reinterpret_cast<Query*>(node), NotesWalker, data, 0);
    }
    List* args = IsA(node, OpExpr)              ? reinterpret_cast<OpExpr*>(node)->args
                 : IsA(node, ScalarArrayOpExpr) ? reinterpret_cast<ScalarArrayOpExpr*>(node)->args
                                                : NIL;
    if (list_length(args) == 2) {
        NoteOther(static_cast<Node*>(linitial(args)), static_cast<Node*>(lsecond(args)), context);
        NoteOther(static_cast<Node*>(lsecond(args)), static_cast<Node*>(linitial(args)), context);
    }
    return WalkExpression(node, NotesWalker, data);
}

}  // namespace

Var* ConvertedColumn(Node* node) {
    node = WithoutRelabel(node);
    if (node == nullptr || !IsA(node, FuncExpr)) {
        return nullptr;
    }
    auto* call = reinterpret_cast<FuncExpr*>(node);
    if (call->funcformat != COERCE_IMPLICIT_CAST || call->args == NIL) {
        return nullptr;
    }
    Node* inside = WithoutRelabel(static_cast<Node*>(linitial(call->args)));
    return inside != nullptr && IsA(inside, Var) ? reinterpret_cast<Var*>(inside) : nullptr;
}

const capture::TextNote* CastNotes(Query* query, int location, int* count) {
    PlainArray<capture::TextNote> notes;
    NotesContext context = {&notes, location};
    NotesWalker(reinterpret_cast<Node*>(query), &context);
    if (notes.count > 1) {
        std::sort(notes.items, notes.items + notes.count,
                  [](const auto& l, const auto& r) { return l.offset < r.offset; });
    }
    *count = notes.count;
    return notes.items;
}

}  // namespace upkeep::pg
