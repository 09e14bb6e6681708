// Conditions that look into columns of type json, whatever they ask there and with whatever path.
// C-like: may raise. SPDX-License-Identifier: PostgreSQL
#include "query_level.h"

extern "C" {
#include "catalog/pg_type.h"
#include "nodes/bitmapset.h"
#include "optimizer/optimizer.h"
}

namespace upkeep::pg {

void NoteJson(Level* level, Node* clause) {
    if (IsA(clause, NullTest) && IsA(reinterpret_cast<NullTest*>(clause)->arg, Var)) {
        return;  // told from the row's header
    }
    ListCell* cell = nullptr;
    foreach (cell, pull_vars_of_level(clause, 0)) {
        auto* var = static_cast<Var*>(lfirst(cell));
        const Column column =
            var->vartype == JSONOID ? Resolve(level, reinterpret_cast<Node*>(var)) : Column{};
        if (column.use >= 0) {
            PlainUse* use = &level->statement->uses.items[column.use];
            use->parsed_json = bms_add_member(use->parsed_json, column.attno);
        }
    }
}

}  // namespace upkeep::pg
