// SPDX-License-Identifier: PostgreSQL
#include "plan.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "upkeep/base/text.h"

namespace upkeep::sqlite {

namespace {

bool StartsWith(std::string_view text, std::string_view head) {
    return text.substr(0, head.size()) == head;
}

/// The longest of `names` that `text` begins with and that ends there or at ` (` or ` FOR `.
std::string LeadingName(std::string_view text, const std::vector<std::string>& names) {
    std::string best;
    for (const std::string& name : names) {
        if (name.size() > best.size() && StartsWith(text, name)) {
            const std::string_view rest = text.substr(name.size());
            if (rest.empty() || rest[0] == ' ') {
                best = name;
            }
        }
    }
    return best;
}

/// The conditions in the last pair of brackets: `a=? AND b>? AND b<?`.
std::vector<PlanTerm> ParseTerms(std::string_view text) {
    std::vector<PlanTerm> terms;
    const size_t open = text.find('(');
    const size_t close = text.rfind(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
        return terms;
    }
    std::string_view rest = text.substr(open + 1, close - open - 1);
    while (!rest.empty()) {
        const size_t end = std::min(rest.find(" AND "), rest.size());
        std::string_view one = rest.substr(0, end);
        rest = end + 5 < rest.size() ? rest.substr(end + 5) : std::string_view();
        PlanTerm term;
        if (StartsWith(one, "ANY(")) {
            term.op = 'A';
            term.column = std::string(one.substr(4, one.size() - 5));
        } else {
            if (StartsWith(one, "(")) {  // a row value: its first column decides
                one = one.substr(1);
            }
            const size_t from = StartsWith(one, "<expr>") ? 6 : 0;
            const size_t at = one.find_first_of("=<>", from);
            if (at == std::string_view::npos) {
                continue;
            }
            const size_t cut = std::min(one.find_first_of(",)", from), at);
            term.column = std::string(one.substr(0, cut));
            term.op = one[at];
        }
        terms.push_back(std::move(term));
    }
    return terms;
}

void ParseUsing(std::string_view how, const std::vector<std::string>& names, bool is_search,
                PlanNode* node) {
    if (StartsWith(how, "AUTOMATIC ")) {
        node->access = Access::kAutomatic;
        node->is_covering = true;
        node->terms = ParseTerms(how);
        return;
    }
    if (StartsWith(how, "INTEGER PRIMARY KEY") || StartsWith(how, "PRIMARY KEY") ||
        StartsWith(how, "ROWID SEARCH")) {
        node->access = Access::kRowid;
        node->terms = ParseTerms(how);
        return;
    }
    constexpr std::string_view kCovering = "COVERING INDEX ";
    constexpr std::string_view kIndex = "INDEX ";
    const size_t skip = StartsWith(how, kCovering) ? kCovering.size()
                        : StartsWith(how, kIndex)  ? kIndex.size()
                                                   : 0;
    if (skip == 0) {
        return;
    }
    node->access = is_search ? Access::kSearch : Access::kIndexScan;
    node->is_covering = skip == kCovering.size();
    node->index = LeadingName(how.substr(skip), names);
    node->terms = ParseTerms(how.substr(std::min(how.size(), skip + node->index.size())));
}

void ParseDetail(const std::vector<std::string>& names, PlanNode* node) {
    std::string_view detail = node->detail;
    const bool is_search = StartsWith(detail, "SEARCH ");
    if (!is_search && !StartsWith(detail, "SCAN ")) {
        constexpr std::string_view kInOperator = "USING INDEX ";
        if (StartsWith(detail, kInOperator)) {  // USING INDEX i FOR IN-OPERATOR
            node->index = LeadingName(detail.substr(kInOperator.size()), names);
        }
        return;
    }
    detail = detail.substr(is_search ? 7 : 5);
    node->access = Access::kScan;
    const size_t virtual_at = detail.find(" VIRTUAL TABLE INDEX ");
    const size_t using_at = detail.find(" USING ");
    size_t end = detail.size();
    if (virtual_at != std::string_view::npos) {
        node->access = Access::kVirtual;
        end = virtual_at;
    } else if (using_at != std::string_view::npos) {
        ParseUsing(detail.substr(using_at + 7), names, is_search, node);
        end = using_at;
    } else {
        end = std::min(detail.find(" LEFT-JOIN"), end);
    }
    node->table = std::string(detail.substr(0, end));
}

void AddUsed(const std::vector<PlanNode>& plan, std::vector<std::string>* used) {
    for (const PlanNode& node : plan) {
        if (!node.index.empty() &&
            std::find(used->begin(), used->end(), node.index) == used->end()) {
            used->push_back(node.index);
        }
        AddUsed(node.children, used);
    }
}

std::string Number(double value) {
    const double clipped = std::clamp(value, 0.0, 9e15);
    return std::to_string(static_cast<int64_t>(std::llround(clipped)));
}

std::vector<PlanNode> BuildTree(int parent, std::multimap<int, PlanNode>& by_parent) {
    std::vector<PlanNode> nodes;
    const auto range = by_parent.equal_range(parent);
    for (auto it = range.first; it != range.second; ++it) {
        nodes.push_back(std::move(it->second));
    }
    by_parent.erase(range.first, range.second);
    for (PlanNode& node : nodes) {
        node.children = BuildTree(node.id, by_parent);
    }
    return nodes;
}

}  // namespace

Result<std::vector<PlanNode>> ReadPlan(sqlite3* db, std::string_view statement,
                                       const std::vector<std::string>& index_names) {
    Result<Stmt> rows = Stmt::Prepare(db, "EXPLAIN QUERY PLAN " + std::string(statement));
    if (!rows.ok()) {
        return rows.error();
    }
    std::multimap<int, PlanNode> by_parent;  // keeps the order of equal keys
    while (rows.value().Step()) {
        PlanNode node;
        node.id = static_cast<int>(rows.value().Integer(0));
        node.host_cost = static_cast<int>(rows.value().Integer(2));
        node.detail = rows.value().Text(3);
        ParseDetail(index_names, &node);
        by_parent.emplace(static_cast<int>(rows.value().Integer(1)), std::move(node));
    }
    return BuildTree(0, by_parent);
}

std::vector<std::string> UsedIndexes(const std::vector<PlanNode>& plan) {
    std::vector<std::string> used;
    AddUsed(plan, &used);
    return used;
}

std::string PlanJson(const std::vector<PlanNode>& plan) {
    std::string json = "[";
    for (const PlanNode& node : plan) {
        json += (json.size() > 1 ? "," : "") + std::string("{\"detail\":") +
                JsonString(node.detail) + ",\"steps\":" + Number(node.steps) +
                ",\"pages\":" + Number(node.pages) + ",\"rows\":" + Number(node.rows);
        if (!node.children.empty()) {
            json += ",\"children\":" + PlanJson(node.children);
        }
        json += "}";
    }
    return json + "]";
}

}  // namespace upkeep::sqlite
