// Errors that belong to no statement (a text that does not parse, a commit that fails): one row of
// `statements` per error code. Its fingerprint is the five characters of the code as one number, so
// it is the same everywhere and can be read back: '42601' is 0x3432363031.
// Not for: errors of a statement that ran; those are counted with it.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace upkeep::capture {

inline constexpr std::string_view kNotExecuted = "<not executed>";

/// Fingerprint of the row of an SQLSTATE; 0: it is none (five digits or capital letters).
int64_t FingerprintOfError(std::string_view sqlstate);

/// The SQLSTATE of such a row; empty: the fingerprint is a statement's.
std::string ErrorOfFingerprint(int64_t fingerprint);

}  // namespace upkeep::capture
