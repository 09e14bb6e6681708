// The contract of the what-if port, held by the unit tests' fake: what is tested on the fake is
// then worth something. The same rows run through both hosts: README.md here.
// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "unit/advisor/fake_what_if.h"

namespace upkeep::advisor {

namespace {

constexpr double kRows = 20000;

std::vector<std::string> Split(const std::string& text, const std::string& separator) {
    std::vector<std::string> parts;
    size_t at = 0;
    while (at <= text.size()) {
        const size_t end = std::min(text.find(separator, at), text.size());
        if (end > at || separator == "\t") {
            parts.push_back(text.substr(at, end - at));
        }
        at = end + separator.size();
    }
    return parts;
}

/// The table of what_if_setup.sql.
const std::vector<FakeWhatIf::Column> kColumns = {
    {"id", 20000}, {"a", 500}, {"b", 20000}, {"c", 20000}, {"d", 7}};

int ColumnOf(const std::string& name) {
    for (size_t i = 0; i < kColumns.size(); ++i) {
        if (kColumns[i].name == name) {
            return static_cast<int>(i);
        }
    }
    ADD_FAILURE() << "no column " << name;
    return 0;
}

double SelectivityOf(int column) {
    return 1 / kColumns[static_cast<size_t>(column)].distinct;
}

/// `CREATE INDEX name ON s (a, c)`
IndexSpec SpecOf(RelationId relation, const std::string& text) {
    IndexSpec spec;
    spec.relation = relation;
    const size_t open = text.find('(');
    for (const std::string& name : Split(text.substr(open + 1, text.find(')') - open - 1), ", ")) {
        spec.keys.push_back({.column = ColumnOf(name), .expression = {}});
    }
    return spec;
}

std::string NameOf(const std::string& index_text) {
    return Split(index_text, " ").at(2);
}

/// `equal=a order=c-`
void AddUse(FakeWhatIf* port, RelationId relation, const std::string& statement,
            const std::string& words) {
    RelationUse use;
    use.relation = relation;
    std::pair<int, int> either = {-1, -1};
    for (const std::string& word : Split(words, " ")) {
        const std::string kind = word.substr(0, word.find('='));
        const std::string value = word.substr(word.find('=') + 1);
        if (kind == "or") {
            const std::vector<std::string> names = Split(value, ",");
            either = {ColumnOf(names.at(0)), ColumnOf(names.at(1))};
        } else if (kind == "order") {
            const bool is_down = value.back() == '-';
            use.order.push_back(
                {ColumnOf(is_down ? value.substr(0, value.size() - 1) : value), is_down, is_down});
            use.has_limit = true;
        } else {
            const int column = ColumnOf(value);
            Predicate predicate =
                kind == "range" ? Range(column, 0.002) : Equal(column, SelectivityOf(column));
            if (kind == "in") {
                predicate.op = Operator::kIn;
                predicate.selectivity *= 3;
            }
            use.predicates.push_back(predicate);
        }
    }
    port->AddStatement(statement, Reads({use}), either);
}

}  // namespace

TEST(WhatIfContract, HoldsForTheFake) {
    std::ifstream file(std::string(UPKEEP_SOURCE_DIR) + "/tests/contract/what_if_cases.tsv");
    std::string line;
    ASSERT_TRUE(std::getline(file, line));
    ASSERT_EQ(line, "name\tstatement\tindexes\tused\tuses");
    int cases = 0;
    while (std::getline(file, line)) {
        const std::vector<std::string> fields = Split(line, "\t");
        ASSERT_EQ(fields.size(), 5U) << line;
        SCOPED_TRACE(fields[0]);
        FakeWhatIf port;
        const RelationId relation = port.AddRelation("s", kRows, kColumns);
        AddUse(&port, relation, fields[1], fields[4]);
        const StatementId statement = port.Analyse(fields[1]).value().id;
        std::vector<IndexId> ids;
        std::map<IndexId, std::string> names;
        for (const std::string& text : Split(fields[2], "; ")) {
            port.AddIndexText(text, SpecOf(relation, text));
            ids.push_back(port.DeclareSql(text).value());
            names[ids.back()] = NameOf(text);
            EXPECT_EQ(port.Declare(SpecOf(relation, text)).value(), ids.back()) << "equal, one id";
        }
        const Price before = port.PriceWith(statement, {}).value();
        const Price after = port.PriceWith(statement, ids).value();
        std::string used;
        for (const IndexId id : after.used) {
            used += (used.empty() ? "" : " ") + names[id];
        }
        EXPECT_EQ(used, fields[3]);
        EXPECT_TRUE(before.used.empty());
        EXPECT_GT(after.cost, 0);
        if (after.used.empty()) {
            EXPECT_EQ(after.cost, before.cost);
        } else {
            EXPECT_LT(after.cost, before.cost);
        }
        EXPECT_EQ(port.Explain(statement, ids).value().cost, after.cost);
        ++cases;
    }
    EXPECT_GT(cases, 10);
}

}  // namespace upkeep::advisor
