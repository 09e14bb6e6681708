// Holds a lock that a statement has for microseconds only, so that a test can look at who waits.
// SPDX-License-Identifier: PostgreSQL
#include "pg.h"

extern "C" {
#include "access/table.h"
#include "storage/lmgr.h"

PG_FUNCTION_INFO_V1(upkeep_test_hold_extension);

/// The lock for extending the table's file, until its statement is cancelled or `ms` are over.
PGDLLEXPORT Datum upkeep_test_hold_extension(PG_FUNCTION_ARGS) {
    Relation table = table_open(PG_GETARG_OID(0), RowExclusiveLock);
    LockRelationForExtension(table, ExclusiveLock);
    for (int left = PG_GETARG_INT32(1); left > 0; left -= 5) {
        CHECK_FOR_INTERRUPTS();
        pg_usleep(5000);
    }
    UnlockRelationForExtension(table, ExclusiveLock);
    table_close(table, RowExclusiveLock);
    PG_RETURN_VOID();
}
}
