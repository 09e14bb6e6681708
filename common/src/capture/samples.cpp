// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/samples.h"

namespace upkeep::capture {

void Samples::Keep(uint32_t database, int64_t fingerprint, uint32_t user, std::string_view text) {
    if (text.size() <= kMostSampleBytes) {
        texts_.Replace(database, fingerprint, text, user);
    } else {
        texts_.Drop(database, fingerprint, user);
    }
}

}  // namespace upkeep::capture
