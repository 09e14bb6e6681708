// Bucket counts as bytes and back, for files: sparse, versioned, the same on every machine.
//
//   1 | (buckets skipped, count) …      all but the version as LEB128
//
// Not for: the workflow sketch, whose bytes are in workflow/sketch.h and count microseconds.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <string_view>

#include "upkeep/base/result.h"
#include "upkeep/capture/histogram.h"

namespace upkeep::capture {

std::string EncodeBuckets(std::span<const BucketCount> buckets);

/// Errors: kInvalidArgument for bytes that EncodeBuckets did not make.
Result<std::vector<BucketCount>> DecodeBuckets(std::string_view bytes);

}  // namespace upkeep::capture
