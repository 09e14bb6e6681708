// Numbers in evidence, as people read them.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string>

namespace upkeep::health {

/// `7.4 MB`, `812 bytes`; units of 1024.
std::string BytesText(double bytes);
/// `45 s`, `3.2 h`, `8 days`.
std::string AgeText(double seconds);
/// At most `decimals` places, without trailing zeros: `0.8`, `12`.
std::string NumberText(double number, int decimals = 2);

}  // namespace upkeep::health
