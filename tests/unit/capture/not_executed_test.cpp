// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/not_executed.h"

#include <gtest/gtest.h>

namespace upkeep::capture {
namespace {

TEST(NotExecutedTest, ACodeIsItsOwnFingerprint) {
    EXPECT_EQ(FingerprintOfError("42601"), 0x3432363031);
    for (const char* code : {"00000", "42P01", "XX000", "57014", "ZZZZZ"}) {
        EXPECT_EQ(ErrorOfFingerprint(FingerprintOfError(code)), code);
    }
}

TEST(NotExecutedTest, WhatIsNoCodeHasNone) {
    for (const char* text : {"", "4260", "426011", "42p01", "42 01", "42601\n"}) {
        EXPECT_EQ(FingerprintOfError(text), 0) << text;
    }
    for (const int64_t number : {int64_t{0}, int64_t{1}, int64_t{-1}, INT64_MAX, INT64_MIN,
                                 int64_t{0x343236303100}, int64_t{0x3432363061}}) {
        EXPECT_EQ(ErrorOfFingerprint(number), "") << number;
    }
}

}  // namespace
}  // namespace upkeep::capture
