// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/not_executed.h"

#include <algorithm>

namespace upkeep::capture {

namespace {

constexpr size_t kCharacters = 5;

bool IsOfCode(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
}

}  // namespace

int64_t FingerprintOfError(std::string_view sqlstate) {
    if (sqlstate.size() != kCharacters ||
        !std::all_of(sqlstate.begin(), sqlstate.end(), IsOfCode)) {
        return 0;
    }
    int64_t fingerprint = 0;
    for (const char c : sqlstate) {
        fingerprint = fingerprint * 256 + static_cast<unsigned char>(c);
    }
    return fingerprint;
}

std::string ErrorOfFingerprint(int64_t fingerprint) {
    if (fingerprint < 0 || fingerprint >> (8 * kCharacters) != 0) {
        return {};
    }
    std::string code(kCharacters, ' ');
    for (size_t i = kCharacters; i-- > 0; fingerprint /= 256) {
        code[i] = static_cast<char>(fingerprint % 256);
    }
    return std::all_of(code.begin(), code.end(), IsOfCode) ? code : std::string();
}

}  // namespace upkeep::capture
