// Findings of PostgreSQL's plans. Rows and times of a node are per loop; with ANALYZE what was
// measured decides, without it only what the planner itself expects.
// Source: the keys are those of EXPLAIN (ANALYZE, FORMAT JSON), commands/explain.c.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <array>

#include "plan_findings.h"

namespace upkeep::advisor {

namespace {

constexpr double kWrongBy = 10;      // an estimate off by this factor
constexpr double kWrongRows = 100;   // and by this many rows
constexpr double kLargeShare = 0.3;  // of the whole time
constexpr double kJitShare = 0.5;
constexpr double kJitMs = 10;

/// How a node is reached, as far as rules ask.
struct Above {
    bool may_stop_early = false;  // somebody above need not read all of it
    const Json* parent = nullptr;
};

bool IsRun(const Json& node) {
    return node.Number("Actual Loops") > 0;
}

/// Rows over all loops.
double Total(const Json& node, std::string_view key) {
    return node.Number(key) * std::max(1.0, node.Number("Actual Loops"));
}

std::string NameOf(const Json& node) {
    std::string name = node.Text("Node Type");
    if (node.Has("Index Name")) {
        name += " by " + node.Text("Index Name");
    }
    if (node.Has("Relation Name")) {
        name += " on " + node.Text("Relation Name");
    }
    return name;
}

std::string ConditionOf(const Json& node) {
    for (const char* key :
         {"Filter", "Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter"}) {
        if (node.Has(key)) {
            return node.Text(key);
        }
    }
    return "";
}

class PostgresRules {
  public:
    PostgresRules(const Json& plan, const PlanContext& context)
        : context_(context), execution_ms_(plan.Number("Execution Time")) {}

    /// True: something below has an estimate that is wrong, so that those above are no surprise.
    bool Walk(const Json& node, const Above& above) {
        const std::string type = node.Text("Node Type");
        bool is_wrong_below = false;
        for (const Json& child : node.Array("Plans")) {
            Above inner{StopsEarly(node, child) || (above.may_stop_early && !ReadsAll(type)),
                        &node};
            is_wrong_below = Walk(child, inner) || is_wrong_below;
        }
        WholeScan(node, type, above);
        IndexFilter(node, type);
        Sort(node, type);
        Hash(node, type);
        Bitmap(node, type);
        NestedLoop(node, type);
        Subquery(node, above);
        return is_wrong_below || Estimate(node, type, above);
    }

    void Jit(const Json& plan) {
        const Json* jit = plan.Find("JIT");
        const Json* timing = jit == nullptr ? nullptr : jit->Find("Timing");
        const double ms = timing == nullptr ? 0 : timing->Number("Total");
        if (ms >= kJitMs && ms >= kJitShare * execution_ms_) {
            Add("jit", "compiling took " + Grouped(ms) + " of " + Grouped(execution_ms_) +
                           " ms; for statements like this raise jit_above_cost or SET jit = off");
        }
    }

    std::vector<std::string> Take() { return std::move(findings_); }

  private:
    void Add(const char* code, const std::string& sentence) {
        findings_.push_back(std::string(code) + ": " + sentence);
    }

    /// Does `node` read only a part of `child` by its nature?
    static bool StopsEarly(const Json& node, const Json& child) {
        const std::string type = node.Text("Node Type");
        const std::string join = node.Text("Join Type");
        const bool is_inner = child.Text("Parent Relationship") == "Inner";
        return type == "Limit" || type == "Merge Join" ||
               (is_inner && (join == "Semi" || join == "Anti")) ||
               child.Text("Parent Relationship") == "SubPlan" ||
               child.Text("Parent Relationship") == "InitPlan";
    }
    static bool ReadsAll(const std::string& type) {
        return type == "Sort" || type == "Hash" || type == "Aggregate";
    }

    void WholeScan(const Json& node, const std::string& type, const Above& above) {
        if (type != "Seq Scan" || !node.Has("Filter")) {
            return;
        }
        const std::string table = node.Text("Relation Name");
        const std::string condition = " by " + node.Text("Filter") +
                                      "; ask upkeep.advise_indexes for an index that serves it";
        if (IsRun(node)) {
            const double removed = Total(node, "Rows Removed by Filter");
            const double kept = Total(node, "Actual Rows");
            if (removed >= kManyRows && kept <= kFewRatio * (kept + removed)) {
                Add("whole_table_scan", NameOf(node) + " threw away " + Grouped(removed) + " of " +
                                            Grouped(removed + kept) + " rows" + condition);
            }
            return;
        }
        const auto rows = context_.table_rows.find(table);
        // A parallel scan's estimate is one worker's.
        const double workers =
            above.parent == nullptr ? 0 : above.parent->Number("Workers Planned");
        const double kept = node.Number("Plan Rows") * (1 + workers);
        if (!node.Has("Actual Loops") && rows != context_.table_rows.end() &&
            rows->second >= kManyRows && kept <= kFewRatio * rows->second) {
            Add("whole_table_scan", NameOf(node) + " is expected to keep about " + Grouped(kept) +
                                        " of " + Grouped(rows->second) + " rows" + condition);
        }
    }

    void IndexFilter(const Json& node, const std::string& type) {
        const bool is_index =
            type == "Index Scan" || type == "Index Only Scan" || type == "Bitmap Heap Scan";
        const double removed = Total(node, "Rows Removed by Filter");
        const double kept = Total(node, "Actual Rows");
        if (is_index && removed >= kManyRows && kept <= kFewRatio * (kept + removed)) {
            Add("index_filter", NameOf(node) + " found " + Grouped(removed + kept) +
                                    " rows and threw away " + Grouped(removed) + " of them by " +
                                    node.Text("Filter") +
                                    "; an index that holds these columns too would not find them");
        }
    }

    void Sort(const Json& node, const std::string& type) {
        const bool is_incremental = type == "Incremental Sort";
        double kilobytes = 0;
        if (node.Text("Sort Space Type") == "Disk") {
            kilobytes = node.Number("Sort Space Used");
        }
        for (const char* group : {"Full-sort Groups", "Pre-sorted Groups"}) {
            const Json* groups = is_incremental ? node.Find(group) : nullptr;
            const Json* disk = groups == nullptr ? nullptr : groups->Find("Sort Space Disk");
            if (disk != nullptr) {
                kilobytes = std::max(kilobytes, disk->Number("Peak Sort Space Used"));
            }
        }
        if (kilobytes > 0) {
            std::string keys;
            for (const Json& key : node.Array("Sort Key")) {
                keys += (keys.empty() ? "" : ", ") + key.text;
            }
            Add("sort_spilled", "the sort by " + keys + " wrote " + Grouped(kilobytes) +
                                    " kB to disk; an index in this order saves the sort, more "
                                    "work_mem the disk");
        }
    }

    void Hash(const Json& node, const std::string& type) {
        if (type == "Hash" && node.Number("Hash Batches") > 1) {
            Add("hash_spilled", "the hash table of " + Grouped(Total(node, "Actual Rows")) +
                                    " rows did not fit into work_mem and went to disk in " +
                                    Grouped(node.Number("Hash Batches")) +
                                    " batches; raise work_mem for this statement");
        }
        if (type == "Aggregate" && node.Number("Disk Usage") > 0) {
            Add("hash_spilled",
                "the groups did not fit into work_mem: " + Grouped(node.Number("Disk Usage")) +
                    " kB went to disk; raise work_mem for this statement");
        }
    }

    void Bitmap(const Json& node, const std::string& type) {
        const double lossy = node.Number("Lossy Heap Blocks");
        if (type == "Bitmap Heap Scan" && lossy > 0) {
            Add("lossy_bitmap", NameOf(node) + " remembered " + Grouped(lossy) +
                                    " blocks without their rows and looked at " +
                                    Grouped(Total(node, "Rows Removed by Index Recheck")) +
                                    " rows in vain; raise work_mem for this statement");
        }
    }

    void NestedLoop(const Json& node, const std::string& type) {
        if (type != "Nested Loop") {
            return;
        }
        for (const Json& child : node.Array("Plans")) {
            const double loops = child.Number("Actual Loops");
            const double ms = child.Number("Actual Total Time") * loops;
            if (child.Text("Parent Relationship") == "Inner" && loops >= kManyRows &&
                ms >= kLargeShare * execution_ms_) {
                Add("nested_loop", NameOf(child) + " ran " + Grouped(loops) +
                                       " times inside a nested loop and took " + Grouped(ms) +
                                       " of " + Grouped(execution_ms_) +
                                       " ms; if the estimate of the outer side is wrong, ANALYZE "
                                       "its tables, else look for an index on the inner side");
            }
        }
    }

    /// A hashed subquery runs once. Without a run the planner's costs tell: only what runs for each
    /// row is charged for each row.
    void Subquery(const Json& node, const Above& above) {
        if (node.Text("Parent Relationship") != "SubPlan" || above.parent == nullptr) {
            return;
        }
        const std::string name = node.Text("Subplan Name");
        if (IsRun(node)) {
            const double loops = node.Number("Actual Loops");
            if (loops >= kWrongRows) {
                Add("correlated_subquery", name + " ran " + Grouped(loops) +
                                               " times, once for each row around it; a join "
                                               "or a LATERAL with an index saves that");
            }
            return;
        }
        const double rows = above.parent->Number("Plan Rows");
        if (!node.Has("Actual Loops") && name.rfind("CTE", 0) != 0 && rows >= kWrongRows &&
            above.parent->Number("Total Cost") >= 0.5 * rows * node.Number("Total Cost")) {
            Add("correlated_subquery",
                name + " is expected to run once for each of " + Grouped(rows) +
                    " rows around it; a join or a LATERAL with an index saves that");
        }
    }

    bool Estimate(const Json& node, const std::string& type, const Above& above) {
        constexpr std::array<std::string_view, 6> kUncounted = {
            "BitmapAnd", "BitmapOr", "Bitmap Index Scan", "ModifyTable", "Result", "Memoize"};
        if (!IsRun(node) ||
            std::find(kUncounted.begin(), kUncounted.end(), type) != kUncounted.end()) {
            return false;
        }
        const double expected = std::max(1.0, node.Number("Plan Rows"));
        const double found = std::max(1.0, node.Number("Actual Rows"));
        const double low = std::min(expected, found);
        const double high = std::max(expected, found);
        const double loops = node.Number("Actual Loops");
        if (high < kWrongBy * low || (high - low) * loops < kWrongRows ||
            (found < expected && above.may_stop_early)) {
            return false;
        }
        const std::string table = node.Text("Relation Name");
        const std::string condition = ConditionOf(node);
        Add("row_estimate",
            NameOf(node) + " was expected to give " + Grouped(expected) + " rows a loop and gave " +
                Grouped(found) + (condition.empty() ? "" : " by " + condition) +
                (table.empty()
                     ? "; ANALYZE the tables below it"
                     : "; run ANALYZE " + table +
                           ", and if that does not help, CREATE STATISTICS on the columns that "
                           "the condition names together"));
        return true;
    }

    const PlanContext& context_;
    double execution_ms_;
    std::vector<std::string> findings_;
};

}  // namespace

std::vector<std::string> PostgresFindings(const Json& plan, const PlanContext& context) {
    const Json* top = plan.Find("Plan");
    if (top == nullptr) {
        return {};
    }
    PostgresRules rules(plan, context);
    rules.Walk(*top, {});
    rules.Jit(plan);
    return rules.Take();
}

}  // namespace upkeep::advisor
