// Small text helpers shared by all topics.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace upkeep {

/// Is `text` well-formed UTF-8 (no overlong forms, surrogates or values above U+10FFFF)?
bool IsUtf8(std::string_view text);

/// `text` with every byte that is not UTF-8 as U+FFFD.
std::string ToUtf8(std::string_view text);

/// `text` as a JSON string literal, quotes included. Bytes that are not UTF-8 become U+FFFD.
std::string JsonString(std::string_view text);

/// `["a","b"]`, `[1,2]`.
std::string JsonArray(const std::vector<std::string>& items);
std::string JsonArray(const std::vector<int64_t>& items);

/// At most `max_bytes` of `text`, cut at a character boundary.
std::string_view Clip(std::string_view text, size_t max_bytes);

}  // namespace upkeep
