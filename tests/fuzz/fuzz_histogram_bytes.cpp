// Any bytes decode to an error or to ascending buckets that encode to the same bytes again.
// SPDX-License-Identifier: PostgreSQL
#include "fuzz.h"
#include "upkeep/capture/histogram_bytes.h"

using upkeep::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes = upkeep::fuzz::Text(data, size);
    const auto buckets = upkeep::capture::DecodeBuckets(bytes);
    if (!buckets.ok()) {
        return 0;
    }
    for (size_t i = 1; i < buckets.value().size(); ++i) {
        Check(buckets.value()[i - 1].bucket < buckets.value()[i].bucket, "ascending");
    }
    const std::string encoded = upkeep::capture::EncodeBuckets(buckets.value());
    const auto again = upkeep::capture::DecodeBuckets(encoded);
    Check(again.ok() && upkeep::capture::EncodeBuckets(again.value()) == encoded,
          "what was decoded encodes and decodes");
    return 0;
}
