// Until the what-if port is there: says so instead of failing to load. A strong MakeWhatIf wins.
// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/error.h"
#include "what_if.h"

namespace upkeep::sqlite {

[[gnu::weak]] std::unique_ptr<advisor::WhatIf> MakeWhatIf(sqlite3*) {
    throw Error(Code::kUnsupported, "this build has no what-if port");
}

}  // namespace upkeep::sqlite
