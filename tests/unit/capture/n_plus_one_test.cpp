// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/n_plus_one.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "unit/capture/store_block.h"
#include "upkeep/capture/finding_rows.h"
#include "upkeep/capture/store_findings.h"

namespace upkeep::capture {
namespace {

/// Sums as the table would keep them; knows a statement's looks by its name.
class Port final : public FindingPort {
  public:
    explicit Port(const std::map<int64_t, std::string>& names) : names_(names) {}

    ChildText TextOf(const Finished& child) override {
        const std::string& name = names_.at(child.fingerprint);
        return {.reads_table = !name.ends_with("_free"),
                .may_be_page = name.ends_with("_keyset"),
                .is_page = name.ends_with("_offset"),
                .has_list = name.ends_with("_list")};
    }
    void Add(const FindingKey& key, const FindingTotals& totals) override {
        FindingTotals& sum = sums[{key.parent, key.child, key.kind}];
        sum.occurrences += totals.occurrences;
        sum.total_repeats += totals.total_repeats;
        sum.total_ns += totals.total_ns;
        sum.max_repeats = std::max(sum.max_repeats, totals.max_repeats);
    }
    void TakeBack(const FindingKey& key, const FindingTotals& totals) override {
        FindingTotals& sum = sums[{key.parent, key.child, key.kind}];
        ASSERT_GE(sum.occurrences, totals.occurrences);
        ASSERT_GE(sum.total_repeats, totals.total_repeats);
        ASSERT_GE(sum.total_ns, totals.total_ns);
        sum.occurrences -= totals.occurrences;
        sum.total_repeats -= totals.total_repeats;
        sum.total_ns -= totals.total_ns;
    }
    std::set<std::string> Found() const {
        std::set<std::string> found;
        for (const auto& [key, sum] : sums) {
            if (sum.occurrences != 0) {
                const auto [parent, child, kind] = key;
                found.insert(names_.at(parent) + ">" + names_.at(child) +
                             (kind == FindingKind::kNPlusOne ? ":n:" : ":r:") +
                             std::to_string(sum.total_repeats));
            }
        }
        return found;
    }

    std::map<std::tuple<int64_t, int64_t, FindingKind>, FindingTotals> sums;

  private:
    const std::map<int64_t, std::string>& names_;
};

/// Plays the words of a trace (n_plus_one_traces.tsv) to a detector, as a host would.
class Session {
  public:
    explicit Session(uint32_t threshold = 5) : threshold_(threshold) {}

    std::set<std::string> Play(const std::string& trace) {
        std::istringstream in(trace);
        std::vector<std::string> words;
        for (std::string word; in >> word;) {
            while (word.find('{') + 1 != 0 && word.find('{') + 1 != word.size()) {
                words.push_back(word.substr(0, word.find('{') + 1));
                word = word.substr(word.find('{') + 1);
            }
            size_t closing = 0;
            while (!word.empty() && word.back() == '}') {
                word.pop_back();
                ++closing;
            }
            if (!word.empty()) {
                words.push_back(word);
            }
            words.insert(words.end(), closing, "}");
        }
        Run(words, 0, words.size());
        return port_.Found();
    }
    void Word(const std::string& word) {
        if (word == "commit") {
            detector_.EndScope(port_);
        } else if (word[0] == '~') {
            now_us_ += std::stoll(word.substr(1)) * 1000;
        } else if (word[0] == '@') {
            endpoint_ = static_cast<uint32_t>(std::stoul(word.substr(1)));
        } else if (word == "w" || word == "i" || word == "set") {
            Note("",
                 word == "w"   ? Operation::kUpdate
                 : word == "i" ? Operation::kInsert
                               : Operation::kUtility,
                 1, 0);
        } else {
            Select(word);
        }
    }
    const Port& port() const { return port_; }
    Detector& detector() { return detector_; }
    void End() { detector_.EndScope(port_); }
    uint64_t hashes = 0;  // that were asked for

  private:
    void Run(const std::vector<std::string>& words, size_t from, size_t to) {
        for (size_t i = from; i < to; ++i) {
            if (words[i].back() != '{') {
                Word(words[i]);
                continue;
            }
            size_t end = i;
            for (int depth = 0; end == i || depth > 0; ++end) {
                depth += words[end].back() == '{' ? 1 : words[end] == "}" ? -1 : 0;
            }
            for (int n = std::stoi(words[i]); n > 0; --n) {
                Run(words, i + 1, end - 1);
            }
            i = end - 1;
        }
    }
    void Select(const std::string& word) {
        const size_t slash = word.find_first_of("/+");
        const size_t equals = std::min(word.find('='), slash);
        const std::string values =
            equals == slash ? "" : word.substr(equals + 1, slash - equals - 1);
        std::string name = word.substr(0, equals);
        uint64_t rows = slash == std::string::npos ? 1 : std::stoull(word.substr(slash + 1));
        if (name.ends_with('.')) {
            name.pop_back();
            rows = opened_[name];
            opened_[name] = 0;
        }
        const uint64_t hash = values == "#"      ? ++unique_
                              : values[0] == '%' ? ++turns_[name] % std::stoull(values.substr(1))
                                                 : std::hash<std::string>()(values);
        if (slash != std::string::npos && word[slash] == '+') {
            opened_[name] += rows;
            detector_.NotePart(Make(name, Operation::kSelect, rows), port_);
        } else {
            Note(name, Operation::kSelect, rows, hash);
        }
    }
    Finished Make(const std::string& name, Operation operation, uint64_t rows) {
        const auto known = fingerprints_.try_emplace(name, 1000 + fingerprints_.size()).first;
        names_[known->second] = name;
        return {.fingerprint = known->second,
                .operation = operation,
                .user = 10,
                .endpoint = endpoint_,
                .rows = rows,
                .duration_ns = 200'000,
                .ended_us = now_us_};
    }
    void Note(const std::string& name, Operation operation, uint64_t rows, uint64_t hash) {
        now_us_ += 1200;
        if (!detector_.HasWork(operation, rows)) {
            return;
        }
        const Finished statement = Make(name, operation, rows);
        std::optional<uint64_t> values;
        if (detector_.WantsValues(statement)) {
            values = hash;
            ++hashes;
        }
        detector_.Note(statement, values, threshold_, port_);
    }

    std::map<int64_t, std::string> names_;
    std::map<std::string, int64_t> fingerprints_;
    std::map<std::string, uint64_t> opened_;
    std::map<std::string, uint64_t> turns_;
    Port port_{names_};
    Detector detector_;
    uint64_t unique_ = 0;
    int64_t now_us_ = 1'000'000'000;
    uint32_t endpoint_ = 0;
    uint32_t threshold_;
};

struct Trace {
    std::string name, expected, words;
};

std::vector<Trace> LabelledTraces() {
    std::ifstream file(UPKEEP_SOURCE_DIR "/tests/unit/capture/n_plus_one_traces.tsv");
    std::vector<Trace> traces;
    for (std::string line; std::getline(file, line);) {
        if (!line.empty() && line[0] != '#') {
            std::istringstream fields(line);
            Trace trace;
            std::getline(fields, trace.name, '\t');
            std::getline(fields, trace.expected, '\t');
            std::getline(fields, trace.words);
            traces.push_back(trace);
        }
    }
    return traces;
}

std::set<std::string> Words(const std::string& text) {
    std::istringstream in(text == "-" ? "" : text);
    std::set<std::string> words;
    for (std::string word; in >> word;) {
        words.insert(word);
    }
    return words;
}

TEST(NPlusOneTest, LabelledTraces) {
    size_t wanted = 0;
    size_t found = 0;
    size_t false_alarms = 0;
    const std::vector<Trace> traces = LabelledTraces();
    ASSERT_GE(traces.size(), 60U);
    for (const Trace& trace : traces) {
        Session session;
        const std::set<std::string> got = session.Play(trace.words);
        const std::set<std::string> expected = Words(trace.expected);
        EXPECT_EQ(testing::PrintToString(got), testing::PrintToString(expected)) << trace.name;
        wanted += expected.size();
        for (const std::string& one : got) {
            (expected.count(one) != 0 ? found : false_alarms) += 1;
        }
    }
    std::cout << "measured: " << traces.size() << " traces, " << found << " of " << wanted
              << " findings, " << false_alarms << " false\n";
    EXPECT_EQ(found, wanted);
    EXPECT_EQ(false_alarms, 0U);
}

TEST(NPlusOneTest, CountsOccurrencesAndTheLongest) {
    Session session;
    session.Play("set P/10 6{X=#} commit set P/10 10{X=#} commit P/10 8{X=#}");
    ASSERT_EQ(session.port().sums.size(), 1U);
    FindingSnapshot finding{{}, session.port().sums.begin()->second};
    EXPECT_EQ(finding.totals.occurrences, 3U);
    EXPECT_EQ(finding.totals.total_repeats, 24U);
    EXPECT_EQ(finding.MaxRepeats(), 10U);
    EXPECT_EQ(finding.totals.total_ns, 24U * 200'000);
}

TEST(NPlusOneTest, TheThresholdIsObeyed) {
    EXPECT_TRUE(Session(20).Play("P/19 19{X=#}").empty());
    EXPECT_EQ(Session(20).Play("P/20 20{X=#}").size(), 1U);
    EXPECT_EQ(Session(1).Play("P/3 3{X=#}").size(), 1U);
}

TEST(NPlusOneTest, AsksForValuesOnlyUnderSuspicion) {
    Session points;
    points.Play("1000{X=#}");
    EXPECT_EQ(points.hashes, 0U);
    EXPECT_FALSE(points.detector().is_active());
    Session steady;  // a workload that turns round and round
    steady.Play("100{A=#/20 B=# C=#/10 D=#}");
    EXPECT_EQ(steady.hashes, 0U);
    Session driven;  // no more once no source can have caused it
    driven.Play("P/10 1000{X=#}");
    EXPECT_LE(driven.hashes, 20U);
}

/// A random session: whatever is told has a source with rows and a child that ran that often.
TEST(NPlusOneTest, NeverTellsWithoutASource) {
    std::mt19937_64 random(20260101);
    const auto pick = [&](uint64_t below) { return random() % below; };
    for (int round = 0; round < 1500; ++round) {
        Session session(static_cast<uint32_t>(1 + pick(8)));
        const uint64_t statements = 1 + pick(40);
        const bool has_sources = pick(4) != 0;
        std::map<std::string, uint64_t> most_rows;
        std::map<std::string, uint64_t> runs;
        for (int step = 0; step < 300; ++step) {
            const std::string name = "s" + std::to_string(pick(statements));
            const uint64_t kind = pick(30);
            if (kind == 0) {
                session.Word("commit");
            } else if (kind == 1) {
                session.Word("~" + std::to_string(pick(1500)));
            } else if (kind == 2) {
                session.Word("@" + std::to_string(pick(3)));
            } else if (kind < 6) {
                session.Word(pick(2) == 0 ? "w" : "set");
            } else if (kind < 8 && has_sources) {
                session.Word(name + "+" + std::to_string(1 + pick(5)));
                most_rows[name] += 5;
            } else {
                const uint64_t rows = has_sources ? pick(pick(2) == 0 ? 2 : 30) : pick(2);
                most_rows[name] = std::max(most_rows[name], rows);
                ++runs[name];
                session.Word(name + (pick(2) == 0 ? "=#/" : "=k/") + std::to_string(rows));
            }
        }
        session.End();
        for (const std::string& told : session.port().Found()) {
            const std::string parent = told.substr(0, told.find('>'));
            const std::string child =
                told.substr(told.find('>') + 1, told.find(':') - told.find('>') - 1);
            EXPECT_TRUE(has_sources) << told;
            EXPECT_NE(parent, child);
            EXPECT_GE(most_rows[parent], 1U) << told;
            EXPECT_LE(std::stoull(told.substr(told.rfind(':') + 1)), runs[child]) << told;
        }
    }
}

TEST(NPlusOneTest, ReadsWhatATextIs) {
    const auto describe = [](std::string_view text) {
        return DescribeChild(text, SqlDialect::kPostgres);
    };
    EXPECT_TRUE(describe("SELECT * FROM logs WHERE id = $1").reads_table);
    EXPECT_FALSE(describe("SELECT 1").reads_table);
    EXPECT_FALSE(describe("SELECT nextval($1)").reads_table);
    EXPECT_FALSE(describe("SELECT * FROM pg_catalog.pg_class WHERE oid = $1").reads_table);
    EXPECT_TRUE(describe("SELECT * FROM pg_class c JOIN mine m ON m.oid = c.oid").reads_table);
    EXPECT_TRUE(describe("SELECT * FROM t ORDER BY a LIMIT $1 OFFSET $2").is_page);
    EXPECT_TRUE(describe("SELECT * FROM t WHERE a > $1 ORDER BY a LIMIT $2").may_be_page);
    EXPECT_FALSE(describe("SELECT * FROM t WHERE a = $1 ORDER BY a LIMIT $2").may_be_page);
    EXPECT_FALSE(describe("SELECT a -> 'k' FROM t WHERE b <> $1 LIMIT $2").may_be_page);
    EXPECT_TRUE(describe("SELECT * FROM t WHERE a IN ($1, $2)").has_list);
    EXPECT_TRUE(describe("SELECT * FROM t WHERE a = ANY ($1)").has_list);
    EXPECT_FALSE(describe("SELECT * FROM t WHERE a IN (SELECT b FROM u WHERE c = $1)").has_list);
    EXPECT_FALSE(describe("SELECT \"offset\" FROM t WHERE a = 'in (1)'").is_page);
}

TEST(NPlusOneTest, FindsOffsetAndCursorQuery) {
    EXPECT_TRUE(HasZeroOffset("SELECT 1 LIMIT 5 OFFSET 0", SqlDialect::kSqlite));
    EXPECT_FALSE(HasZeroOffset("SELECT 1 LIMIT 0 OFFSET 10", SqlDialect::kSqlite));
    EXPECT_FALSE(HasZeroOffset("SELECT 'offset', 0 LIMIT 0", SqlDialect::kPostgres));
    const auto query = [](std::string_view text) {
        return std::string(QueryOfCursor(text, SqlDialect::kPostgres));
    };
    EXPECT_EQ(query("DECLARE \"for\" NO SCROLL CURSOR WITH HOLD FOR SELECT 1"), "SELECT 1");
    EXPECT_EQ(query("declare c binary cursor\nfor(select 1)"), "(select 1)");
    EXPECT_EQ(query("DECLARE c CURSOR FOR"), "");
    EXPECT_EQ(query("SELECT 1 FOR UPDATE"), "");
}

TEST(NPlusOneTest, SuggestionsNameTablesAndColumn) {
    FindingView view;
    view.parent_query = "SELECT id FROM executions WHERE workflow_id = $1";
    view.child_query = "SELECT l.* FROM execution_logs AS l WHERE $1 = l.execution_id";
    EXPECT_EQ(SuggestionFor(view, SqlDialect::kPostgres).find("WHERE"), std::string::npos);
    view.child_query = "SELECT l.* FROM execution_logs AS l WHERE l.execution_id = $1";
    const std::string advice = SuggestionFor(view, SqlDialect::kPostgres);
    EXPECT_NE(advice.find("SELECT on execution_logs for each row of the SELECT on executions"),
              std::string::npos)
        << advice;
    EXPECT_NE(advice.find("WHERE execution_id = ANY ($1)"), std::string::npos) << advice;
    EXPECT_NE(SuggestionFor(view, SqlDialect::kSqlite).find("execution_id IN (?, …)"),
              std::string::npos);
    view.finding.key.kind = FindingKind::kRepeatedRead;
    EXPECT_NE(SuggestionFor(view, SqlDialect::kPostgres).find("cache"), std::string::npos);
}

FindingKey KeyOfFinding(int64_t parent, int64_t child) {
    return {.parent = parent, .child = child, .database = 5, .user = 10};
}

TEST(FindingTableTest, AddsTakesBackDrainsAndForgets) {
    StoreBlock store(SmallLimits(10));
    FindingTable& table = store->findings();
    table.Add(KeyOfFinding(1, 2), {1, 10, 0, 500, 77});
    table.Add(KeyOfFinding(1, 2), {1, 4, 0, 100, 70});
    table.Add(KeyOfFinding(1, 3), {1, 5, 5, 50, 80});
    table.TakeBack(KeyOfFinding(1, 3), {1, 5, 0, 50, 80});
    table.TakeBack(KeyOfFinding(9, 9), {1, 5, 0, 50, 80});
    std::vector<FindingSnapshot> all = table.Snapshots();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].totals.occurrences, 2U);
    EXPECT_EQ(all[0].totals.total_repeats, 14U);
    EXPECT_EQ(all[0].MaxRepeats(), 7U);  // of two that are under way, on average
    EXPECT_EQ(all[0].totals.last_seen_us, 77);
    EXPECT_TRUE(table.Drain(6).empty());
    EXPECT_EQ(table.Drain(5).size(), 1U);
    EXPECT_TRUE(table.Snapshots().empty());
    table.TakeBack(KeyOfFinding(1, 2), {1, 10, 0, 500, 77});  // saved meanwhile: never below zero
    EXPECT_TRUE(table.Snapshots().empty());
    table.Add(KeyOfFinding(1, 2), {1, 10, 0, 500, 77});
    store->Reset(9);
    EXPECT_TRUE(table.Snapshots().empty());
}

TEST(FindingTableTest, TheColdGiveWay) {
    StoreLimits limits = SmallLimits(10);
    limits.findings = 64;
    StoreBlock store(limits);
    for (int64_t i = 0; i < 10000; ++i) {
        store->findings().Add(KeyOfFinding(1, 1), {0, 100, 0, 1, i});
        store->findings().Add(KeyOfFinding(i, 2), {1, 5, 0, 1, i});
    }
    const std::vector<FindingSnapshot> all = store->findings().Snapshots();
    EXPECT_LE(all.size(), 64U);
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [](const FindingSnapshot& one) {
        return one.key == KeyOfFinding(1, 1) && one.totals.total_repeats == 1'000'000;
    }));
}

}  // namespace
}  // namespace upkeep::capture
