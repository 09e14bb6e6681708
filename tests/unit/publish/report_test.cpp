// The report as text: width, bounds, order, hostile text, what is not known.
// SPDX-License-Identifier: PostgreSQL
#include "upkeep/publish/report.h"

#include <gtest/gtest.h>

#include <map>

namespace upkeep::publish {
namespace {

class FakeCalls : public OwnCalls {
  public:
    Result<TextRows> Read(const OwnQuery& query) override {
        const auto found = answers.find(std::string(query.call));
        if (found == answers.end()) {
            return Error(Code::kNotFound, "there is no " + std::string(query.call));
        }
        return found->second;
    }
    std::map<std::string, TextRows> answers;
};

std::string Page(FakeCalls& calls, Value title = {}) {
    const Arguments arguments(*FindCall("report"), {std::string("text"), std::move(title)});
    return ReportText(
        BuildReport(arguments, {Hosts::kPostgres, "Host 1", "d", Timestamp{0}}, calls));
}

size_t Characters(std::string_view text) {
    size_t count = 0;
    for (const char c : text) {
        count += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
    }
    return count;
}

size_t Widest(const std::string& page) {
    size_t widest = 0;
    for (size_t at = 0; at < page.size();) {
        const size_t end = page.find('\n', at);
        widest = std::max(widest, Characters(std::string_view(page).substr(at, end - at)));
        at = end + 1;
    }
    return widest;
}

TEST(Report, SaysWhatIsNotKnown) {
    FakeCalls calls;
    const std::string page = Page(calls);
    EXPECT_EQ(page.find("upkeep report on d\n==================\n"), 0U) << page;
    EXPECT_NE(page.find("not known: there is no check_health"), std::string::npos);
    EXPECT_NE(page.find("not known: there is no workflow_stats"), std::string::npos);
}

TEST(Report, FindingsWorstFirstAndAtMostTen) {
    FakeCalls calls;
    for (int i = 0; i < 12; ++i) {
        calls.answers["check_health"].push_back(
            {"warn", "w" + std::to_string(i), "seen", std::nullopt});
    }
    calls.answers["check_health"].push_back({"ok", "fine", "seen", std::nullopt});
    calls.answers["check_health"].push_back({"fail", "broken", "seen", "mend it"});
    const std::string page = Page(calls);
    EXPECT_NE(page.find("fail 1, warn 12, unknown 0, manual 0, ok 1"), std::string::npos) << page;
    EXPECT_LT(page.find("broken"), page.find("w0"));
    EXPECT_NE(page.find("seen; mend it"), std::string::npos);
    EXPECT_EQ(page.find("fine"), std::string::npos);
    EXPECT_EQ(page.find("w9"), std::string::npos);
    EXPECT_NE(page.find("and 3 more: SELECT * FROM upkeep.check_health()"), std::string::npos);
}

TEST(Report, NoLineIsTooWideWhateverComes) {
    FakeCalls calls;
    const std::string endless(5000, 'x');
    std::string wide;
    for (int i = 0; i < 300; ++i) {
        wide += "\xC3\xA9";
    }
    calls.answers["statements"] = {{"1", "1e300", "2", "3", endless}, {"2", "x", "", "nan", wide}};
    calls.answers["index_findings"] = {{endless, wide, endless, wide, endless}};
    calls.answers["connections"] = {{endless, wide}};
    calls.answers["advise_settings"] = {{endless, endless, endless, endless, endless}};
    const std::string page = Page(calls, endless);
    EXPECT_LE(Widest(page), kReportWidth);
    EXPECT_LT(page.size(), 20'000U);
    EXPECT_NE(page.find("…"), std::string::npos);
}

TEST(Report, HostileTextIsOneLineAndTurnsNothing) {
    FakeCalls calls;
    calls.answers["statements"] = {{"1", "1", "1", "1",
                                    "a\n\x1b[2J\tb\xE2\x80\xAE"
                                    "c\xFF"},
                                   {"1", "1", "1", "1",
                                    "ok\xE2\x80\xAE"
                                    "d"}};
    const std::string page = Page(calls, std::string("t\r\nx"));
    EXPECT_EQ(page.find("t x\n===\n"), 0U);
    EXPECT_NE(page.find("a [2J b"), std::string::npos) << page;
    EXPECT_NE(page.find("ok d"), std::string::npos) << page;
    EXPECT_EQ(page.find('\x1b'), std::string::npos);
    EXPECT_EQ(page.find("\xE2\x80\xAE"), std::string::npos);
}

TEST(Report, LeavesItsOwnStatementsOut) {
    FakeCalls calls;
    calls.answers["statements"] = {{"1", "1", "1", "1", "SELECT upkeep.report($1)"},
                                   {"1", "1", "1", "1", "SELECT upkeep_metrics()"},
                                   {"1", "1", "1", "1", "SELECT mine"}};
    const std::string page = Page(calls);
    EXPECT_NE(page.find("SELECT mine"), std::string::npos);
    EXPECT_EQ(page.find("upkeep_metrics"), std::string::npos);
}

TEST(Report, Formats) {
    const auto check = [](Value format) {
        return CheckReportFormat(Arguments(*FindCall("report"), {std::move(format), Value()}));
    };
    EXPECT_TRUE(check(std::string("text")).ok());
    for (const char* later : {"html", "json"}) {
        EXPECT_EQ(check(std::string(later)).error().code(), Code::kUnsupported);
        EXPECT_NE(check(std::string(later)).error().hint().find("report('text')"),
                  std::string::npos);
    }
    EXPECT_EQ(check(std::string("TEXT")).error().code(), Code::kInvalidArgument);
    EXPECT_THROW(check(Value()).ok(), Error);
}

}  // namespace
}  // namespace upkeep::publish
