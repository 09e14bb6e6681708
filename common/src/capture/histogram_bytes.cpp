// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/histogram_bytes.h"

#include "packed.h"

namespace upkeep::capture {

namespace {

constexpr char kVersion = 1;
constexpr uint32_t kBuckets = BucketOf(UINT64_MAX) + 1;

}  // namespace

std::string EncodeBuckets(std::span<const BucketCount> buckets) {
    Packer out;
    out.Number(kVersion);
    uint32_t next = 0;
    for (const BucketCount& entry : buckets) {
        out.Number(entry.bucket - next);
        out.Number(entry.count);
        next = entry.bucket + 1;
    }
    return out.bytes();
}

Result<std::vector<BucketCount>> DecodeBuckets(std::string_view bytes) {
    const Error bad(Code::kInvalidArgument, "these bytes are no histogram");
    if (bytes.empty() || bytes.front() != kVersion) {
        return bad;
    }
    Unpacker rest(bytes.substr(1));
    std::vector<BucketCount> buckets;
    uint64_t next = 0;
    while (!rest.AtEnd()) {
        const uint64_t skipped = rest.Below(kBuckets);
        const uint64_t count = rest.Number();
        if (!rest.ok() || next + skipped >= kBuckets) {
            return bad;
        }
        buckets.push_back({static_cast<uint32_t>(next + skipped), count});
        next += skipped + 1;
    }
    return buckets;
}

}  // namespace upkeep::capture
