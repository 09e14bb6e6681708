// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/histogram_bytes.h"

#include <optional>

namespace upkeep::capture {

namespace {

constexpr char kVersion = 1;
constexpr uint32_t kBuckets = BucketOf(UINT64_MAX) + 1;

void Append(std::string& out, uint64_t number) {
    for (; number >= 0x80; number >>= 7) {
        out.push_back(static_cast<char>(number | 0x80));
    }
    out.push_back(static_cast<char>(number));
}

std::optional<uint64_t> Take(std::string_view& bytes) {
    uint64_t number = 0;
    for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
        const auto byte = static_cast<uint8_t>(bytes.front());
        bytes.remove_prefix(1);
        number |= uint64_t{byte & 0x7FU} << shift;
        if (byte < 0x80) {
            return number;
        }
    }
    return std::nullopt;
}

}  // namespace

std::string EncodeBuckets(std::span<const BucketCount> buckets) {
    std::string out(1, kVersion);
    uint32_t next = 0;
    for (const BucketCount& entry : buckets) {
        Append(out, entry.bucket - next);
        Append(out, entry.count);
        next = entry.bucket + 1;
    }
    return out;
}

Result<std::vector<BucketCount>> DecodeBuckets(std::string_view bytes) {
    const Error bad(Code::kInvalidArgument, "these bytes are no histogram");
    if (bytes.empty() || bytes.front() != kVersion) {
        return bad;
    }
    bytes.remove_prefix(1);
    std::vector<BucketCount> buckets;
    uint64_t next = 0;
    while (!bytes.empty()) {
        const std::optional<uint64_t> skipped = Take(bytes);
        const std::optional<uint64_t> count = Take(bytes);
        if (!skipped || !count || *skipped >= kBuckets || next + *skipped >= kBuckets) {
            return bad;
        }
        buckets.push_back({static_cast<uint32_t>(next + *skipped), *count});
        next += *skipped + 1;
    }
    return buckets;
}

}  // namespace upkeep::capture
