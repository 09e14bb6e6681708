// What every fuzz target needs: a property that does not hold stops the run.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace upkeep::fuzz {

inline void Check(bool holds, const char* property) {
    if (!holds) {
        std::fprintf(stderr, "does not hold: %s\n", property);
        std::abort();
    }
}

/// The input as text.
inline std::string_view Text(const uint8_t* data, size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

/// Takes one byte off the front of the input; 0 where there is none.
inline uint8_t TakeByte(std::string_view* input) {
    if (input->empty()) {
        return 0;
    }
    const auto byte = static_cast<uint8_t>(input->front());
    input->remove_prefix(1);
    return byte;
}

}  // namespace upkeep::fuzz
