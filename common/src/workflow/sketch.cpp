// SPDX-License-Identifier: PostgreSQL
#include "upkeep/workflow/sketch.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace upkeep::workflow {

namespace {

using capture::BucketCount;

constexpr char kMagic = 'U';
constexpr char kVersion = 1;
constexpr double kMaxMicroseconds = 144115188075855872.0;  // 2^57
constexpr uint64_t kNanosPerMicro = 1000;
constexpr uint64_t kWideMicros = uint64_t{1} << 53;  // from here on nanoseconds leave 64 bits

uint32_t BucketOfMicros(double microseconds) {
    const auto whole = static_cast<uint64_t>(microseconds);
    if (whole >= kWideMicros) {  // the same bucket ten octaves lower, moved up again
        return capture::BucketOf((whole >> 10) * kNanosPerMicro) + 10 * capture::kSteps;
    }
    // rounded: what came through milliseconds and back lands in the bucket it came from
    return capture::BucketOf(static_cast<uint64_t>(std::llround(microseconds * kNanosPerMicro)));
}

constexpr uint32_t kLastBucket = 4096;  // above the bucket of 2^57 us
constexpr uint64_t kMostMembers = std::numeric_limits<int64_t>::max();  // sketch_count is a bigint

double Clamped(double microseconds) {
    return microseconds > 0 ? std::min(microseconds, kMaxMicroseconds) : 0;  // NaN counts as 0
}

uint64_t WholeMicros(double clamped) {
    return static_cast<uint64_t>(std::llround(clamped));
}

/// The entry of `bucket`, or the one before which it belongs.
BucketCount* Find(const SketchParts& parts, uint32_t bucket) {
    return std::lower_bound(
        parts.buckets, parts.buckets + parts.used, bucket,
        [](const BucketCount& entry, uint32_t wanted) { return entry.bucket < wanted; });
}

void AddCount(SketchParts* parts, uint32_t bucket, uint64_t count) {
    BucketCount* end = parts->buckets + parts->used;
    BucketCount* entry = Find(*parts, bucket);
    if (entry != end && entry->bucket == bucket) {
        entry->count += count;
        return;
    }
    std::move_backward(entry, end, end + 1);
    *entry = {bucket, count};
    ++parts->used;
}

void PutNumber(std::string* out, uint64_t number) {
    while (number >= 0x80) {
        out->push_back(static_cast<char>(number | 0x80));
        number >>= 7;
    }
    out->push_back(static_cast<char>(number));
}

/// Takes one number off the front; false: truncated, longer than 64 bits or not minimal.
bool TakeNumber(std::string_view* bytes, uint64_t* number) {
    *number = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (bytes->empty()) {
            return false;
        }
        const auto byte = static_cast<unsigned char>(bytes->front());
        bytes->remove_prefix(1);
        if (shift == 63 && byte > 1) {
            return false;
        }
        *number |= static_cast<uint64_t>(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return shift == 0 || byte != 0;
        }
    }
    return false;
}

Error Damaged() {
    return Error(Code::kInvalidArgument, "these bytes are no sketch, or a damaged one",
                 "pass what percentile_sketch or merge_sketches returned, unchanged");
}

}  // namespace

Result<double> MicrosOfValue(double milliseconds) {
    if (!(milliseconds >= 0 && milliseconds <= kMaxMicroseconds / 1000)) {  // NaN too
        return Error(
            Code::kInvalidArgument,
            "a sketch holds numbers from 0 to 144115188075855, not " + std::to_string(milliseconds),
            "leave other values out with FILTER (WHERE …)");
    }
    return std::nearbyint(milliseconds * 1e6) / 1e3;
}

void AddTo(SketchParts* parts, double microseconds) noexcept {
    const double clamped = Clamped(microseconds);
    AddCount(parts, BucketOfMicros(clamped), 1);
    ++parts->count;
    parts->sum_us += WholeMicros(clamped);
}

void TakeFrom(SketchParts* parts, double microseconds) noexcept {
    const double clamped = Clamped(microseconds);
    BucketCount one = {BucketOfMicros(clamped), 1};
    UnmergeFrom(parts, {1, WholeMicros(clamped), &one, 1, 1});
}

void UnmergeFrom(SketchParts* parts, const SketchParts& other) noexcept {
    for (uint32_t i = 0; i < other.used; ++i) {
        const BucketCount& gone = other.buckets[i];
        BucketCount* entry = Find(*parts, gone.bucket);
        if (entry == parts->buckets + parts->used || entry->bucket != gone.bucket ||
            entry->count < gone.count) {
            continue;  // never added
        }
        parts->count -= gone.count;
        entry->count -= gone.count;
        if (entry->count == 0) {
            std::move(entry + 1, parts->buckets + parts->used, entry);
            --parts->used;
        }
    }
    parts->sum_us -= std::min(parts->sum_us, other.sum_us);
}

bool MergeInto(SketchParts* parts, const SketchParts& other) noexcept {
    if (other.count > kMostMembers - parts->count) {
        return false;
    }
    for (uint32_t i = 0; i < other.used; ++i) {
        AddCount(parts, other.buckets[i].bucket, other.buckets[i].count);
    }
    parts->count += other.count;
    parts->sum_us += other.sum_us;
    return true;
}

SketchParts Sketch::parts() const {
    const auto used = static_cast<uint32_t>(buckets_.size());
    return {count_, sum_us_, const_cast<BucketCount*>(buckets_.data()), used, used};
}

SketchParts Sketch::Lend(size_t more) {
    const auto used = static_cast<uint32_t>(buckets_.size());
    buckets_.resize(used + more);
    return {count_, sum_us_, buckets_.data(), used, static_cast<uint32_t>(buckets_.size())};
}

void Sketch::Take(const SketchParts& parts) {
    buckets_.resize(parts.used);
    count_ = parts.count;
    sum_us_ = parts.sum_us;
}

void Sketch::Add(double microseconds) {
    SketchParts parts = Lend(1);
    AddTo(&parts, microseconds);
    Take(parts);
}

void Sketch::Remove(double microseconds) {
    SketchParts parts = Lend(0);
    TakeFrom(&parts, microseconds);
    Take(parts);
}

void Sketch::Merge(const Sketch& other) {
    if (&other == this) {
        Merge(Sketch(other));
        return;
    }
    SketchParts parts = Lend(other.buckets_.size());
    const bool fits = MergeInto(&parts, other.parts());
    Take(parts);
    if (!fits) {
        throw Error(Code::kInvalidArgument, "the sketches hold more values than a bigint counts",
                    "these are no sketches of real measurements: look where the bytes come from");
    }
}

Result<void> Sketch::Subtract(const Sketch& other) {
    std::vector<BucketCount> left = buckets_;
    auto at = left.begin();
    for (const BucketCount& entry : other.buckets_) {
        while (at != left.end() && at->bucket < entry.bucket) {
            ++at;
        }
        if (at == left.end() || at->bucket != entry.bucket || at->count < entry.count) {
            return Error(Code::kInvalidArgument, "the sketch does not contain what is taken away");
        }
        at->count -= entry.count;
    }
    std::erase_if(left, [](const BucketCount& entry) { return entry.count == 0; });
    buckets_ = std::move(left);
    count_ -= other.count_;
    sum_us_ -= std::min(sum_us_, other.sum_us_);
    return {};
}

double Sketch::mean_ms() const {
    return count_ == 0 ? std::numeric_limits<double>::quiet_NaN()
                       : static_cast<double>(sum_us_) / static_cast<double>(count_) / 1e3;
}

double Sketch::QuantileMs(double q) const {
    return capture::Quantile(buckets_, q) / 1e6;
}

double Sketch::MaxMs() const {
    return buckets_.empty() ? std::numeric_limits<double>::quiet_NaN()
                            : capture::BucketHigh(buckets_.back().bucket) / 1e6;
}

std::string Sketch::Encode(const SketchParts& parts) {
    std::string out = {kMagic, kVersion};
    PutNumber(&out, parts.count);
    PutNumber(&out, parts.sum_us);
    PutNumber(&out, parts.used);
    uint32_t previous = 0;
    for (uint32_t i = 0; i < parts.used; ++i) {
        PutNumber(&out, parts.buckets[i].bucket - previous);
        PutNumber(&out, parts.buckets[i].count);
        previous = parts.buckets[i].bucket;
    }
    return out;
}

Result<Sketch> Sketch::Decode(std::string_view bytes) {
    if (bytes.size() < 2 || bytes[0] != kMagic) {
        return Damaged();
    }
    if (bytes[1] != kVersion) {
        return Error(Code::kInvalidArgument,
                     "a sketch of version " + std::to_string(static_cast<unsigned char>(bytes[1])) +
                         ", this library reads version 1",
                     "update the library");
    }
    bytes.remove_prefix(2);
    Sketch sketch;
    uint64_t pairs = 0;
    if (!TakeNumber(&bytes, &sketch.count_) || !TakeNumber(&bytes, &sketch.sum_us_) ||
        !TakeNumber(&bytes, &pairs) || pairs > bytes.size() / 2) {
        return Damaged();
    }
    uint64_t bucket = 0;
    uint64_t total = 0;
    for (uint64_t i = 0; i < pairs; ++i) {
        uint64_t gap = 0;
        uint64_t count = 0;
        if (!TakeNumber(&bytes, &gap) || !TakeNumber(&bytes, &count) || count == 0 ||
            (i > 0 && gap == 0) || gap > kLastBucket) {
            return Damaged();
        }
        bucket += gap;
        total += count;
        if (bucket > kLastBucket || total < count) {
            return Damaged();
        }
        sketch.buckets_.push_back({static_cast<uint32_t>(bucket), count});
    }
    if (!bytes.empty() || total != sketch.count_ || total > kMostMembers) {
        return Damaged();
    }
    return sketch;
}

}  // namespace upkeep::workflow
