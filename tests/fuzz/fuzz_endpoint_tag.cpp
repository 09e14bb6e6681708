// Whatever a statement's comments hold: an endpoint is short text without control characters, the
// same with more blanks and semicolons at the ends.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "upkeep/base/text.h"
#include "upkeep/capture/endpoint_tag.h"

namespace {

using upkeep::capture::EndpointName;
using upkeep::capture::FindEndpoint;
using upkeep::capture::SqlDialect;

void Check(bool holds) {
    if (!holds) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view sql(reinterpret_cast<const char*>(data), size);
    for (const auto dialect : {SqlDialect::kPostgres, SqlDialect::kSqlite}) {
        EndpointName name;
        const bool is_told = FindEndpoint(sql, dialect, &name);
        Check(is_told != name.empty());
        Check(name.view().size() <= upkeep::capture::kMostEndpointBytes);
        Check(upkeep::IsUtf8(name.view()));
        Check(std::none_of(name.view().begin(), name.view().end(), [](char c) {
            return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
        }));
        EndpointName padded;
        Check(FindEndpoint(" ;" + std::string(sql) + " ;\n", dialect, &padded) == is_told);
        Check(padded.view() == name.view());
        static_cast<void>(upkeep::capture::IsOnlyComments(sql, dialect));
    }
    return 0;
}
