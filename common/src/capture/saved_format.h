// The frame of a saved file (saved_file.h): its first bytes, the head of a section, the checksum.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "upkeep/capture/saved_file.h"

namespace upkeep::capture {

inline constexpr std::string_view kSavedMagic{"upkeep\x1a\n", 8};  // shows a copy made as text
inline constexpr size_t kSavedHeaderBytes = 12;                    // magic, version
inline constexpr size_t kSectionHeadBytes = 12;                    // kind, bytes, checksum
inline constexpr size_t kMostTablesBytes = 192;
inline constexpr std::string_view kOtherEndpoints = "other";
inline constexpr int64_t kMostSavedUs = 253402300800LL * 1000000;  // the year 10000

constexpr std::array<uint32_t, 256> Crc32cTable() {
    std::array<uint32_t, 256> table = {};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t rest = byte;
        for (int bit = 0; bit < 8; ++bit) {
            rest = (rest >> 1) ^ ((rest & 1) != 0 ? 0x82F63B78U : 0U);  // Castagnoli, reflected
        }
        table[byte] = rest;
    }
    return table;
}

/// Of `bytes` after what `before` is the checksum of.
inline uint32_t Crc32c(std::string_view bytes, uint32_t before = 0) {
    static constexpr std::array<uint32_t, 256> kTable = Crc32cTable();
    uint32_t sum = ~before;
    for (const char byte : bytes) {
        sum = kTable[(sum ^ static_cast<uint8_t>(byte)) & 0xFF] ^ (sum >> 8);
    }
    return ~sum;
}

inline void AppendWord(std::string& out, uint32_t word) {
    for (int shift = 0; shift < 32; shift += 8) {
        out.push_back(static_cast<char>(word >> shift));
    }
}
inline uint32_t WordAt(std::string_view bytes, size_t at) {
    uint32_t word = 0;
    for (size_t i = 0; i < 4; ++i) {
        word |= uint32_t{static_cast<uint8_t>(bytes[at + i])} << (8 * i);
    }
    return word;
}

/// A section with its head.
inline std::string SectionOf(SavedKind kind, std::string_view items) {
    std::string section;
    section.reserve(kSectionHeadBytes + items.size());
    AppendWord(section, static_cast<uint32_t>(kind));
    AppendWord(section, static_cast<uint32_t>(items.size()));
    AppendWord(section, Crc32c(items, Crc32c(section)));
    section += items;
    return section;
}

inline std::string SavedHeader() {
    std::string header(kSavedMagic);
    AppendWord(header, kSavedVersion);
    return header;
}

}  // namespace upkeep::capture
