// What foreign keys look up by themselves when rows of the referenced table go or change their key:
// one query for each row, which no plan's cost counts.
//
//   DELETE FROM executions …            1,200 rows
//     ├─ execution_logs.execution_id    SELECT … WHERE execution_id = $1      1,200 times
//     └─ executions.parent_id           SELECT … WHERE parent_id = $1         1,200 times
//
// What a cascade deletes is looked up once, too; what that in turn sets off is not followed.
// C-like: may raise, so call it inside CallHost.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

struct PlainForeignCheck {
    const char* sql;  // the look-up, one parameter for each key column
    bool on_delete;
    bool on_update;
    Bitmapset* key;  // attributes of the referenced table
};

/// Those of a referenced table, each foreign key once, in the order of its triggers.
PlainArray<PlainForeignCheck>* ForeignChecksOf(Oid relid);

}  // namespace upkeep::pg
