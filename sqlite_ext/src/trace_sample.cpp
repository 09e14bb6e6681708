// SPDX-License-Identifier: PostgreSQL
#include "trace_sample.h"

namespace upkeep::sqlite {

void TakeSample(capture::Samples& samples, sqlite3* db, sqlite3_stmt* stmt,
                const capture::StatementKey& key, capture::Operation operation) {
    using capture::Operation;
    if (operation == Operation::kInsert || operation == Operation::kUtility) {
        return;
    }
    // A longer text is not made at all.
    const int most = sqlite3_limit(db, SQLITE_LIMIT_LENGTH, capture::kMostSampleBytes);
    char* text = sqlite3_expanded_sql(stmt);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, most);
    if (text != nullptr) {
        samples.Keep(key.database, key.fingerprint, 0, text);
    }
    sqlite3_free(text);
}

}  // namespace upkeep::sqlite
