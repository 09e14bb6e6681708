// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/text.h"

#include <gtest/gtest.h>

namespace upkeep {
namespace {

TEST(TextTest, AcceptsWellFormedUtf8AndRefusesTheRest) {
    EXPECT_TRUE(IsUtf8(""));
    EXPECT_TRUE(IsUtf8("abc \xC3\xBC \xE2\x82\xAC \xF0\x9F\x98\x80"));
    EXPECT_FALSE(IsUtf8("\xC3"));
    EXPECT_EQ(ToUtf8("a\xC3 \xC3\xBC\xFF\xFE"), "a\xEF\xBF\xBD \xC3\xBC\xEF\xBF\xBD\xEF\xBF\xBD");
    EXPECT_EQ(ToUtf8("plain"), "plain");
    EXPECT_FALSE(IsUtf8("\xC0\xAF"));          // overlong
    EXPECT_FALSE(IsUtf8("\xED\xA0\x80"));      // surrogate
    EXPECT_FALSE(IsUtf8("\xF4\x90\x80\x80"));  // above U+10FFFF
    EXPECT_FALSE(IsUtf8("ok\x80"));
}

TEST(TextTest, WritesJson) {
    EXPECT_EQ(JsonString("a\"b\\c\nd\te\x01"), "\"a\\\"b\\\\c\\nd\\te\\u0001\"");
    EXPECT_EQ(JsonString("\xFFz"), "\"\xEF\xBF\xBDz\"");
    EXPECT_EQ(JsonArray(std::vector<std::string>{"a", "b"}), "[\"a\",\"b\"]");
    EXPECT_EQ(JsonArray(std::vector<int64_t>{}), "[]");
    EXPECT_EQ(JsonArray(std::vector<int64_t>{1, -2}), "[1,-2]");
}

TEST(TextTest, ClipsAtCharacterBoundaries) {
    EXPECT_EQ(Clip("abc", 5), "abc");
    EXPECT_EQ(Clip("a\xE2\x82\xAC", 3), "a");
    EXPECT_EQ(Clip("a\xE2\x82\xAC", 4), "a\xE2\x82\xAC");
}

}  // namespace
}  // namespace upkeep
