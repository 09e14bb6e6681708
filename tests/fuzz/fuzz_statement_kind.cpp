// What a statement is and which tables it names: any bytes, normalised or not; each name once.
// SPDX-License-Identifier: PostgreSQL
#include "fuzz.h"
#include "upkeep/capture/normalize.h"
#include "upkeep/capture/statement_kind.h"

using upkeep::fuzz::Check;

namespace {

void CheckOne(std::string_view text) {
    const auto operation = upkeep::capture::OperationOf(text);
    Check(!upkeep::capture::OperationName(operation).empty(), "every operation has a name");
    const std::string tables = upkeep::capture::TablesOf(text);
    Check(tables.size() <= text.size(), "names are of the text");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view sql = upkeep::fuzz::Text(data, size);
    CheckOne(sql);
    CheckOne(upkeep::capture::Normalize(sql, upkeep::capture::SqlDialect::kSqlite));
    return 0;
}
