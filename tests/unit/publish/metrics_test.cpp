// Metrics: escaping, order, histograms, numbers, families and what is absent. The whole text is
// read back by tests/exposition.py in each host's tests; here a smaller reader looks at samples.
// SPDX-License-Identifier: PostgreSQL
#include "upkeep/publish/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "unit/health/rows.h"

namespace upkeep::publish {
namespace {

/// Calls that answer what a test says, and remember what was asked.
class FakeCalls : public OwnCalls {
  public:
    Result<TextRows> Read(const OwnQuery& query) override {
        asked.emplace_back(query.call);
        const auto found = answers.find(std::string(query.call));
        if (found == answers.end()) {
            return Error(Code::kNotFound, "no such table");
        }
        return found->second;
    }
    std::map<std::string, TextRows> answers;
    std::vector<std::string> asked;
};

const Family& FamilyNamed(std::string_view name) {
    for (const Family& family : AllFamilies()) {
        if (family.name == name) {
            return family;
        }
    }
    throw Error(Code::kNotFound, std::string(name));
}

std::vector<std::string> Lines(const std::string& text) {
    std::vector<std::string> lines;
    for (size_t at = 0; at < text.size();) {
        const size_t end = text.find('\n', at);
        lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return lines;
}

/// What the text format's reader makes of an escaped label value.
std::string Unescaped(std::string_view text) {
    std::string plain;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            plain += text[i];
        } else {
            plain += text[++i] == 'n' ? '\n' : text[i];
        }
    }
    return plain;
}

capture::CounterSnapshot Counter(capture::Operation operation, std::string table,
                                 std::vector<uint64_t> buckets, bool failed = false) {
    capture::CounterSnapshot counter;
    counter.operation = operation;
    counter.table = std::move(table);
    counter.failed = failed;
    for (size_t i = 0; i < buckets.size(); ++i) {
        counter.buckets[i] = buckets[i];
        counter.calls += buckets[i];
    }
    counter.total_ns = 1'500'000'000;
    return counter;
}

std::string TextOf(const MetricFacts& facts, std::vector<std::string_view> families,
                   std::string prefix = "upkeep") {
    MetricRequest request;
    request.prefix = std::move(prefix);
    for (const Family& family : AllFamilies()) {
        for (const std::string_view name : families) {
            if (name == family.name) {
                request.families.push_back(&family);
            }
        }
    }
    FakeCalls calls;
    return Exposition(request.prefix, Samples(request, facts, calls));
}

Result<MetricRequest> Request(Value prefix, Value families = {}) {
    return ReadMetricRequest(
        Arguments(*FindCall("metrics"), {std::move(prefix), std::move(families)}));
}

TEST(Exposition, HostileLabelValuesComeBackAsTheyWere) {
    const std::string hostile = "a\\b\"c\nd\\n} 1\nupkeep_evil 1";
    const Sample sample = {&FamilyNamed("connections"), "", {{"state", hostile}}, 3};
    const std::vector<std::string> lines = Lines(Exposition("upkeep", {&sample, 1}));
    ASSERT_EQ(lines.size(), 3U);  // a newline in a value opens no line
    const size_t start = lines[2].find("=\"") + 2;
    const size_t end = lines[2].rfind("\"} 3");
    ASSERT_NE(end, std::string::npos);
    EXPECT_EQ(Unescaped(std::string_view(lines[2]).substr(start, end - start)), hostile);
}

TEST(Exposition, HelpIsOneLine) {
    const Family family = {"x", MetricType::kGauge, "", "", Source::kBuild, "a\\b \"c\"\nd"};
    const Sample sample = {&family, "", {}, 1};
    EXPECT_EQ(Exposition("p", {&sample, 1}),
              "# HELP p_x a\\\\b \"c\"\\nd\n# TYPE p_x gauge\np_x 1\n");
}

TEST(Exposition, Numbers) {
    const Family family = {"x", MetricType::kGauge, "", "", Source::kBuild, "h"};
    const auto shown = [&](double value) {
        const Sample sample = {&family, "", {}, value};
        return Lines(Exposition("p", {&sample, 1})).back().substr(4);
    };
    EXPECT_EQ(shown(std::numeric_limits<double>::quiet_NaN()), "NaN");
    EXPECT_EQ(shown(std::numeric_limits<double>::infinity()), "+Inf");
    EXPECT_EQ(shown(-std::numeric_limits<double>::infinity()), "-Inf");
    EXPECT_EQ(shown(0), "0");
    EXPECT_EQ(shown(1e15), "1000000000000000");
    EXPECT_EQ(shown(0.1), "0.1");
    EXPECT_EQ(std::stod(shown(1.0 / 3)), 1.0 / 3);
    EXPECT_EQ(std::stod(shown(1e300)), 1e300);
}

TEST(Samples, HistogramIsCumulativeAndEndsAtInfinity) {
    MetricFacts facts;
    facts.capture.emplace();
    // 2 below 0.1 ms, 3 up to 0.5 ms, 1 beyond the last bound
    std::vector<uint64_t> buckets(capture::kCounterBounds.size() + 1);
    buckets[0] = 2;
    buckets[1] = 3;
    buckets.back() = 1;
    facts.capture->counters = {Counter(capture::Operation::kSelect, "t", buckets)};
    const std::vector<std::string> lines = Lines(TextOf(facts, {"statement_duration_seconds"}));
    const std::string head =
        "upkeep_statement_duration_seconds_bucket{operation=\"select\",table=\"t\",le=\"";
    ASSERT_EQ(lines.size(), 2 + buckets.size() + 2);
    EXPECT_EQ(lines[1], "# TYPE upkeep_statement_duration_seconds histogram");
    EXPECT_EQ(lines[2], head + "0.0001\"} 2");
    EXPECT_EQ(lines[3], head + "0.0005\"} 5");
    EXPECT_EQ(lines[buckets.size()], head + "10\"} 5");
    EXPECT_EQ(lines[buckets.size() + 1], head + "+Inf\"} 6");
    EXPECT_EQ(lines[buckets.size() + 2],
              "upkeep_statement_duration_seconds_sum{operation=\"select\",table=\"t\"} 1.5");
    EXPECT_EQ(lines[buckets.size() + 3],
              "upkeep_statement_duration_seconds_count{operation=\"select\",table=\"t\"} 6");
}

TEST(Samples, NamesThatLookAlikeAreOneSeries) {
    MetricFacts facts;
    facts.capture.emplace();
    facts.capture->counters = {Counter(capture::Operation::kSelect, "other", {1}),
                               Counter(capture::Operation::kSelect, "other", {2}),
                               Counter(capture::Operation::kSelect, "\xff", {1}),
                               Counter(capture::Operation::kSelect, "\xfe", {1}),
                               Counter(capture::Operation::kSelect, "other", {4}, true)};
    const std::vector<std::string> lines = Lines(TextOf(facts, {"statements_total"}));
    const std::string head = "upkeep_statements_total{operation=\"select\",table=\"";
    EXPECT_EQ(
        std::vector(lines.begin() + 2, lines.end()),
        (std::vector<std::string>{head + "?\",status=\"ok\"} 2", head + "other\",status=\"ok\"} 3",
                                  head + "other\",status=\"error\"} 4"}));
}

TEST(Samples, FamiliesStandTogetherInTheOrderOfTheTable) {
    MetricFacts facts;
    facts.capture.emplace();
    facts.capture->counters = {Counter(capture::Operation::kSelect, "a", {1}),
                               Counter(capture::Operation::kInsert, "b", {1})};
    FakeCalls calls;
    calls.answers["connections"] = {{"idle", "client backend", "d"}};
    calls.answers["check_health"] = {{"ok"}, {"warn"}, {"ok"}};
    const MetricRequest request = WholeRequest();
    size_t last = 0;
    for (const Sample& sample : Samples(request, facts, calls)) {
        const auto place = static_cast<size_t>(sample.family - AllFamilies().data());
        EXPECT_GE(place, last);
        last = place;
    }
    EXPECT_GT(last, size_t{0});
}

TEST(Samples, WhatIsNotKnownIsAbsent) {
    MetricFacts facts;
    FakeCalls calls;
    calls.answers["database_stats"] = {{"", std::nullopt, std::nullopt, std::nullopt, std::nullopt,
                                        "8192", std::nullopt, std::nullopt}};
    std::vector<std::string_view> names;
    for (const Sample& sample : Samples(WholeRequest(), facts, calls)) {
        names.push_back(sample.family->name);
    }
    EXPECT_EQ(names, (std::vector<std::string_view>{"build_info", "database_size_bytes"}));
}

TEST(Samples, WhatNobodyAsksForIsNotGathered) {
    FakeCalls calls;
    const auto request = Request(std::string("upkeep"), TextArray{"locks_waiting"});
    ASSERT_TRUE(request.ok());
    EXPECT_FALSE(request.value().Wants(Source::kCapture));
    Samples(request.value(), {}, calls);
    EXPECT_EQ(calls.asked, (std::vector<std::string>{"lock_tree"}));
}

TEST(Samples, StatesAreDisjointAndWorkersAreNoClients) {
    MetricFacts facts;
    facts.database = "d";
    FakeCalls calls;
    calls.answers["connections"] = {{"idle", "client backend", "d"},
                                    {"active", "client backend", "d"},
                                    {"active", "client backend", "elsewhere"},
                                    {std::nullopt, "autovacuum worker", "d"}};
    const auto request =
        Request(std::string("autopr_db"), TextArray{"connections", "pool_connections"});
    const std::string text = Exposition("autopr_db", Samples(request.value(), facts, calls));
    EXPECT_NE(text.find("autopr_db_connections{state=\"active\"} 2\n"), std::string::npos) << text;
    EXPECT_NE(text.find("autopr_db_pool_connections{state=\"idle\"} 1\n"), std::string::npos);
    EXPECT_NE(text.find("autopr_db_pool_connections{state=\"used\"} 1\n"), std::string::npos);
    EXPECT_EQ(text.find("hidden"), std::string::npos);
    // a session whose state is hidden makes both numbers of the pool unknown
    calls.answers["connections"].push_back({std::nullopt, std::nullopt, "d"});
    const std::string hidden = Exposition("autopr_db", Samples(request.value(), facts, calls));
    EXPECT_NE(hidden.find("{state=\"hidden\"} 1\n"), std::string::npos);
    EXPECT_EQ(hidden.find("pool_connections{"), std::string::npos);
}

TEST(Samples, ReportedPoolsAreSummed) {
    MetricFacts facts;
    facts.pools = sessions::PoolSums{.pools = 2,
                                     .stale = 1,
                                     .size = 10,
                                     .checked_out = 9,
                                     .overflow = 2,
                                     .waiting = 3,
                                     .timeouts = 4,
                                     .wait_ms = 1500};
    FakeCalls calls;
    const std::string text = Exposition("upkeep", Samples(WholeRequest(), facts, calls));
    for (const char* line :
         {"upkeep_reported_pools{state=\"reporting\"} 2\n",
          "upkeep_reported_pools{state=\"silent\"} 1\n",
          "upkeep_reported_pool_connections{state=\"idle\"} 3\n",
          "upkeep_reported_pool_connections{state=\"used\"} 9\n", "upkeep_reported_pool_size 10\n",
          "upkeep_reported_pool_overflow 2\n", "upkeep_reported_pool_waiting 3\n",
          "upkeep_reported_pool_timeouts 4\n", "upkeep_reported_pool_wait_seconds 1.5\n"}) {
        EXPECT_NE(text.find(line), std::string::npos) << line;
    }
    facts.pools.reset();
    const std::string none = Exposition("upkeep", Samples(WholeRequest(), facts, calls));
    EXPECT_EQ(none.find("reported_pool"), std::string::npos);
}

TEST(Families, AreNamedByTheRules) {
    for (const Family& family : AllFamilies()) {
        const bool is_counter = family.type == MetricType::kCounter;
        EXPECT_EQ(family.name.ends_with("_total"), is_counter) << family.name;
        EXPECT_FALSE(family.help.empty()) << family.name;
        if (!family.unit.empty()) {
            EXPECT_NE(family.name.find(family.unit), std::string_view::npos) << family.name;
        }
    }
}

TEST(Request, PrefixesAndFamilies) {
    for (const char* prefix : {"upkeep", "_", "a:b", "A9"}) {
        EXPECT_TRUE(Request(std::string(prefix)).ok()) << prefix;
    }
    for (const char* prefix : {"", "9a", "a b", "a-b", "a\nb", "ä", "a{"}) {
        EXPECT_FALSE(Request(std::string(prefix)).ok()) << prefix;
    }
    EXPECT_FALSE(Request(std::string(65, 'a')).ok());
    EXPECT_THROW(Request(Value()).ok(), Error);
    EXPECT_TRUE(Request(std::string("x"), TextArray{"x_connections", "connections"}).ok());
    const auto unknown = Request(std::string("x"), TextArray{"connections", "y_connections"});
    ASSERT_FALSE(unknown.ok());
    EXPECT_NE(unknown.error().hint().find("build_info, "), std::string::npos);
    EXPECT_FALSE(Request(std::string("x"), TextArray{"queries_total"}).ok());
    EXPECT_TRUE(Request(std::string(kGuidePrefix), TextArray{"queries_total"}).ok());
    EXPECT_EQ(Request(std::string("x")).value().families, WholeRequest().families);
    EXPECT_EQ(Request(std::string("x"), TextArray{}).value().families.size(), 0U);
}

TEST(Rows, SayTheSameAsTheText) {
    const Sample sample = {&FamilyNamed("statement_duration_seconds"),
                           "_bucket",
                           {{"table", "a\"b"}, {"le", "+Inf"}},
                           2};
    health::Collected rows;
    SampleRows("upkeep", {&sample, 1}, rows);
    EXPECT_EQ(rows.Text(0, 0), "upkeep_statement_duration_seconds_bucket");
    EXPECT_EQ(rows.Text(0, 1), "histogram");
    EXPECT_EQ(rows.Text(0, 2), "seconds");
    EXPECT_EQ(rows.Text(0, 4), R"({"table": "a\"b", "le": "+Inf"})");
    EXPECT_EQ(std::get<double>(rows.rows[0][5]), 2);
}

TEST(OwnCall, AsSql) {
    EXPECT_EQ(SqlOf({"check_health", "status"}, false), "SELECT status FROM upkeep.check_health()");
    EXPECT_EQ(SqlOf({"check_health", "status"}, true), "SELECT status FROM upkeep_check_health");
    EXPECT_EQ(SqlOf({"connections", "state"}, false), "SELECT state FROM upkeep.connections");
    EXPECT_EQ(SqlOf({"workflow_stats", "total", "group_by", "all"}, false),
              "SELECT total FROM upkeep.workflow_stats(group_by => 'all')");
    EXPECT_EQ(SqlOf({"workflow_stats", "total", "group_by", "all"}, true),
              "SELECT total FROM upkeep_workflow_stats WHERE group_by = 'all'");
}

}  // namespace
}  // namespace upkeep::publish
