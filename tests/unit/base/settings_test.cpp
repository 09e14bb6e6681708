// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/settings.h"

#include <gtest/gtest.h>

#include <set>

namespace upkeep {
namespace {

Setting Make(SettingType type, int64_t least = 0, int64_t most = INT64_MAX) {
    return {.name = "some",
            .type = type,
            .default_value = "",
            .unit = type == SettingType::kInterval ? "ms" : "",
            .scope = "process",
            .description = "",
            .choices = {},
            .least = least,
            .most = most};
}

std::string Parsed(const Setting& setting, std::string_view text) {
    const Result<std::string> parsed = ParseSetting(setting, text);
    return parsed.ok() ? parsed.value() : "refused: " + parsed.error().hint();
}

TEST(SettingsTest, DefaultsAreCanonicalAndNamesUnique) {
    std::set<std::string_view> names;
    for (const Setting& setting : SqliteSettings()) {
        EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
        EXPECT_EQ(Parsed(setting, setting.default_value), setting.default_value) << setting.name;
        EXPECT_TRUE(setting.scope == "process" || setting.scope == "connection") << setting.name;
        EXPECT_FALSE(setting.description.empty()) << setting.name;
    }
}

TEST(SettingsTest, UnknownNameListsTheNames) {
    ASSERT_TRUE(FindSetting("workflow_profile").ok());
    const Result<const Setting*> unknown = FindSetting("wrokflow_profile");
    ASSERT_FALSE(unknown.ok());
    EXPECT_EQ(unknown.error().code(), Code::kInvalidArgument);
    EXPECT_STREQ(unknown.error().what(), "unknown setting \"wrokflow_profile\"");
    EXPECT_NE(unknown.error().hint().find("workflow_profile"), std::string::npos);
    EXPECT_LT(FindSetting(std::string(10'000, 'x')).error().message().size(), 100U);
}

TEST(SettingsTest, ReadsChoices) {
    const Setting& profile = *FindSetting("workflow_profile").value();
    EXPECT_EQ(Parsed(profile, "guide"), "guide");
    EXPECT_EQ(Parsed(profile, "Guide"), "guide");
    EXPECT_EQ(Parsed(profile, "guides"), "refused: allowed: corrected, guide");
    EXPECT_EQ(Parsed(profile, ""), "refused: allowed: corrected, guide");
}

TEST(SettingsTest, ReadsBooleans) {
    const Setting setting = Make(SettingType::kBool);
    for (const char* yes : {"on", "ON", "true", "yes", "1"}) {
        EXPECT_EQ(Parsed(setting, yes), "on");
    }
    for (const char* no : {"off", "False", "no", "0"}) {
        EXPECT_EQ(Parsed(setting, no), "off");
    }
    EXPECT_EQ(Parsed(setting, "2"), "refused: allowed: on, off");
}

TEST(SettingsTest, ReadsNumbersWithinTheirRange) {
    const Setting setting = Make(SettingType::kInteger, -1, 10);
    EXPECT_EQ(Parsed(setting, "-1"), "-1");
    EXPECT_EQ(Parsed(setting, "10"), "10");
    for (const char* bad : {"11", "-2", "", "1.5", "7x", "5 s", "99999999999999999999"}) {
        EXPECT_EQ(Parsed(setting, bad), "refused: allowed: a whole number, between -1 and 10")
            << bad;
    }
}

TEST(SettingsTest, ReadsIntervalsAsMilliseconds) {
    const Setting setting = Make(SettingType::kInterval);
    EXPECT_EQ(Parsed(setting, "500"), "500");
    EXPECT_EQ(Parsed(setting, "2 s"), "2000");
    EXPECT_EQ(Parsed(setting, "1min"), "60000");
    EXPECT_EQ(Parsed(setting, "-5"), "refused: allowed: a whole number, 0 ms or more");
    EXPECT_EQ(Parsed(setting, "soon"), "refused: allowed: a whole number, 0 ms or more");
}

}  // namespace
}  // namespace upkeep
