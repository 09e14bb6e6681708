// Findings of SQLite's plans: texts of EXPLAIN QUERY PLAN with rows estimated from a sample.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>

#include "plan_findings.h"

namespace upkeep::advisor {

namespace {

bool StartsWith(std::string_view text, std::string_view head) {
    return text.substr(0, head.size()) == head;
}

bool Has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

class SqliteRules {
  public:
    explicit SqliteRules(const PlanContext& context) : context_(context) {}

    void Walk(const std::vector<Json>& nodes) {
        for (const Json& node : nodes) {
            const std::string detail = node.Text("detail");
            WholeScan(detail);
            TempTree(detail, node.Number("rows"));
            if (Has(detail, " USING AUTOMATIC ")) {
                Add("automatic_index", detail +
                                           ": SQLite builds this index anew each time the "
                                           "statement runs; create it once");
            }
            if (StartsWith(detail, "CORRELATED ")) {
                Add("correlated_subquery", detail +
                                               " runs once for each row around it; a join, or "
                                               "an index on what it compares, saves that");
            }
            Walk(node.Array("children"));
        }
    }

    std::vector<std::string> Take() { return std::move(findings_); }

  private:
    void Add(const char* code, const std::string& sentence) {
        findings_.push_back(std::string(code) + ": " + sentence);
    }

    /// The name after SCAN is the alias where there is one; with one table it does not matter.
    const PlanContext::Kept* KeptOf(const std::string& name, double* rows) const {
        const bool is_only = context_.table_rows.size() == 1;
        const auto table = is_only ? context_.table_rows.begin() : context_.table_rows.find(name);
        if (table == context_.table_rows.end()) {
            return nullptr;
        }
        const auto kept = context_.kept.find(table->first);
        *rows = table->second;
        return kept == context_.kept.end() ? nullptr : &kept->second;
    }

    void WholeScan(const std::string& detail) {
        if (!StartsWith(detail, "SCAN ") || Has(detail, " VIRTUAL TABLE ")) {
            return;
        }
        const size_t end = std::min(detail.find(" USING "), detail.find(" LEFT-JOIN"));
        double rows = 0;
        const PlanContext::Kept* kept =
            KeptOf(detail.substr(5, end == std::string::npos ? end : end - 5), &rows);
        const bool stopped_early = context_.scanned_rows && *context_.scanned_rows < kManyRows;
        if (kept == nullptr || rows < kManyRows || kept->ratio > kFewRatio || stopped_early) {
            return;
        }
        std::string sentence = detail + " reads about " + Grouped(rows) + " rows and keeps about " +
                               Grouped(rows * kept->ratio) + " by " + kept->condition;
        if (context_.scanned_rows && context_.returned_rows) {
            sentence += "; this run stepped through " + Grouped(*context_.scanned_rows) +
                        " rows in whole scans and returned " + Grouped(*context_.returned_rows);
        }
        Add("whole_table_scan",
            sentence + "; ask upkeep_advise_indexes for an index that serves it");
    }

    void TempTree(const std::string& detail, double rows) {
        constexpr std::string_view kHead = "USE TEMP B-TREE FOR ";
        if (!StartsWith(detail, kHead) || rows < kManyRows) {
            return;
        }
        Add("temp_btree", detail + ": about " + Grouped(rows) +
                              " rows are put in order for each run; an index in the order of the " +
                              detail.substr(kHead.size()) + " saves it");
    }

    const PlanContext& context_;
    std::vector<std::string> findings_;
};

}  // namespace

std::vector<std::string> SqliteFindings(const Json& plan, const PlanContext& context) {
    SqliteRules rules(context);
    rules.Walk(plan.items);
    return rules.Take();
}

}  // namespace upkeep::advisor
