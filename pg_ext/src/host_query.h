// Rows of a catalog query as text, for facts that the core judges.
// The query runs read-only with the caller's rights and search_path = pg_catalog, pg_temp, so that
// nobody's operators come in between and what is printed is qualified unless it is the server's;
// cells are palloc'd in the caller's context. Rows of the user's own tables: query.h.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "guard.h"
#include "pg.h"

namespace upkeep::pg {

/// Plain data: nullptr is SQL NULL.
struct HostRows {
    char** cells = nullptr;
    int rows = 0;
    int columns = 0;

    const char* At(int row, int column) const { return cells[row * columns + column]; }
    bool IsNull(int row, int column) const { return At(row, column) == nullptr; }
    std::string Text(int row, int column) const {
        return IsNull(row, column) ? "" : At(row, column);
    }
    bool Bool(int row, int column) const { return !IsNull(row, column) && *At(row, column) == 't'; }
    std::optional<int64_t> Integer(int row, int column) const;
    std::optional<double> Number(int row, int column) const;
};

/// Throws HostError.
HostRows Query(const char* sql);
/// Sees what this command has done so far; $1, $2 … are `arguments`, of type text.
HostRows QueryOwnWork(const char* sql, const std::vector<std::string>& arguments);
/// As Query, in a subtransaction: what the caller may not read is a value.
/// Errors: kHost, kPermissionDenied, … with the server's text.
Result<HostRows> TryQuery(const char* sql);

/// A query on our own calls, in a subtransaction and under the caller's own search_path: they look
/// for his tables. Their notices are left out. Waits a second for a table that somebody has locked,
/// then it is an error: who looks at metrics wants to see that lock. Errors: as TryQuery.
Result<HostRows> TryOwnCall(const char* sql);

/// Sessions are then as they are now: within a transaction the server repeats what it showed first.
void LookAfresh();

/// One statement without a result, under the caller's search_path. Throws HostError.
void RunSql(const std::string& sql);

/// Does the caller's search_path find it, so that its name needs no schema?
bool IsVisible(Oid relation);

}  // namespace upkeep::pg
