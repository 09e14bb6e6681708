// The SQLite host's scanners of statement and index texts: any bytes, nothing longer than it was.
// SPDX-License-Identifier: PostgreSQL
#include "../../sqlite_ext/src/sql_text.h"
#include "fuzz.h"

using upkeep::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view sql = upkeep::fuzz::Text(data, size);
    const upkeep::sqlite::TextFacts facts = upkeep::sqlite::ScanText(sql);
    Check(!(facts.limit < -1) && !(facts.offset < 0), "a limit is a number of rows");
    for (const auto& [column, lists] : facts.in_lists) {
        for (const upkeep::sqlite::InList& list : lists) {
            Check(list.list.size() <= size && list.count >= 0, "a list is of the text");
        }
    }
    Check(upkeep::sqlite::RecordableText(sql).size() <= size, "only parts are left out");
    if (upkeep::sqlite::IsCreateIndex(sql)) {
        const upkeep::sqlite::IndexText index = upkeep::sqlite::ScanIndex(sql);
        Check(index.predicate.size() <= size, "a predicate is of the text");
    }
    return 0;
}
