// Any bytes split into parts of the input that follow each other, are trimmed and not empty, and
// do not split again.
// SPDX-License-Identifier: PostgreSQL
#include "fuzz.h"
#include "upkeep/base/sql_split.h"

using upkeep::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view sql = upkeep::fuzz::Text(data, size);
    const char* at = sql.data();
    for (const std::string_view part : upkeep::SplitSql(sql)) {
        Check(!part.empty() && part.data() >= at, "parts follow each other");
        at = part.data() + part.size();
        Check(at <= sql.data() + sql.size(), "parts are of the input");
        const auto again = upkeep::SplitSql(part);
        Check(again.size() == 1 && again[0] == part, "a part is one statement");
    }
    return 0;
}
