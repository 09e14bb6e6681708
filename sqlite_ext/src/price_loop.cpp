// SPDX-License-Identifier: PostgreSQL
#include "price_loop.h"

#include <algorithm>
#include <cmath>

namespace upkeep::sqlite {

namespace {

constexpr double kLookupSteps = 1;     // DeferredSeek
constexpr double kTermSteps = 1.2;     // of a condition checked by row; others often end it early
constexpr double kListSteps = 4;       // an OR, or a list of more than two, checked by row
constexpr double kCompareSteps = 0.1;  // a sorter's comparison, in steps of ~11 ns
constexpr size_t kMaxTerms = 5;        // more are hardly ever reached

std::string WithoutSchema(const std::string& name) {
    const size_t dot = name.rfind('.');
    return dot == std::string::npos ? name : name.substr(dot + 1);
}

std::string ColumnOf(const PricedMention& mention, const Term& term) {
    const int rowid = mention.statistics->sample().rowid_column();
    if (term.column < 0 || term.column == rowid) {
        return "rowid";
    }
    return Lower(mention.columns[static_cast<size_t>(term.column)].name);
}

bool Has(const Terms& terms, const PricedTerm& term) {
    return std::find(terms.begin(), terms.end(), &term) != terms.end();
}

/// Steps a visited row spends on conditions that the search does not ensure.
double CheckSteps(const PricedMention& mention, const Terms& search) {
    double steps = 0;
    size_t count = 0;
    for (const PricedTerm& term : mention.terms) {
        if (!Has(search, term) && count++ < kMaxTerms) {
            steps += kTermSteps + (!term.term.is_in ? 0 : term.in_count > 2 ? kListSteps : 1);
        }
    }
    return steps + (mention.branches.empty() ? 0 : kListSteps);
}

/// Conditions that hold after this loop: constants, and joins that its search used.
double MatchedRows(const PricedMention& mention, const Terms& search, bool is_inner_scan) {
    Terms all;
    bool is_join_left = is_inner_scan;  // a scan inside other loops checks its join by row
    for (const PricedTerm& term : mention.terms) {
        const bool is_checked = term.term.is_join && IsEqual(term.term) && is_join_left;
        if (!term.term.is_join || Has(search, term) || is_checked) {
            all.push_back(&term);
            is_join_left = is_join_left && !is_checked;
        }
    }
    double share = JointShare(all, {}, mention.statistics);
    if (!mention.branches.empty()) {
        double any = 0;
        for (const auto& branch : mention.branches) {
            Terms terms;
            for (const PricedTerm& term : branch) {
                terms.push_back(&term);
            }
            any += JointShare(terms, {}, mention.statistics);
        }
        share *= std::min(1.0, any);
    }
    return mention.statistics->rows() * share;
}

void BuildAutomatic(const PricedMention& mention, bool is_complete, const Terms& search,
                    Loop* loop) {
    Statistics* statistics = mention.statistics;
    const double rows = statistics->rows();
    const double columns = static_cast<double>(mention.needed);
    loop->visited =
        rows * (is_complete ? JointShare(search, {}, statistics) : 1 / std::max(1.0, rows));
    loop->steps_once = rows * (5 + columns) + rows * std::log2(rows + 2) * kCompareSteps;
    loop->pages_once = statistics->TableSize().leaf_pages;
}

}  // namespace

const PricedMention* LoopPricer::FindMention(const PlanNode& node) {
    const std::string name = WithoutSchema(Lower(node.table));
    const PricedMention* found = nullptr;
    for (size_t i = 0; i < mentions_.size(); ++i) {
        if (WithoutSchema(mentions_[i].alias) != name) {
            continue;
        }
        if (!taken_[i]) {
            taken_[i] = true;
            return &mentions_[i];
        }
        found = &mentions_[i];
    }
    return found;
}

LoopPricer::Search LoopPricer::SearchOf(const PlanNode& node, const PricedMention& mention,
                                        const std::vector<PricedTerm>& from) const {
    Search search;
    for (const PlanTerm& wanted : node.terms) {
        if (wanted.op == 'A') {
            for (size_t c = 0; c < mention.columns.size(); ++c) {
                if (Lower(mention.columns[c].name) == Lower(wanted.column)) {
                    search.seeks *= mention.statistics->DistinctColumn(static_cast<int>(c)) + 1;
                }
            }
            continue;
        }
        const PricedTerm* best = nullptr;
        for (const PricedTerm& term : from) {
            if (ColumnOf(mention, term.term) == Lower(wanted.column) &&
                FitsPlan(term.term, wanted.op) && (best == nullptr || term.share < best->share)) {
                best = &term;
            }
        }
        if (best != nullptr) {
            search.terms.push_back(best);
            search.seeks *= best->term.is_in ? best->in_count : 1;
        }
    }
    search.is_complete = search.terms.size() == node.terms.size() ||
                         (!search.terms.empty() && node.terms.front().op == 'A');
    return search;
}

/// Visited rows of a search by terms that the recorder did not see (expressions, parameters).
double LoopPricer::GuessedRows(const PlanNode& node, Statistics* statistics) const {
    const auto shape = indexes_.find(node.index);
    double share = 1;
    if (node.access == Access::kRowid) {
        return node.terms.empty()             ? 1
               : node.terms.front().op == '=' ? 1
                                              : statistics->rows() * kRangeShare;
    }
    for (size_t i = 0; i < node.terms.size(); ++i) {
        if (node.terms[i].op != '=') {
            share *= node.terms[i].op == 'A' ? 1 : kRangeShare;
        } else if (shape != indexes_.end() && i < shape->second.keys.size()) {
            share /= statistics->Distinct({shape->second.keys[i]});
        }
    }
    return statistics->rows() * share;
}

/// Searches or scans an index; the table is read for the rows that the index's columns let pass.
void LoopPricer::ReadIndex(const PricedMention& mention, const Search& search, Loop* loop) const {
    Statistics* statistics = mention.statistics;
    const PlanNode& node = *loop->node;
    const auto shape = indexes_.find(node.index);
    const TreeSize table = statistics->TableSize();
    const TreeSize index = shape != indexes_.end() ? statistics->IndexSize(shape->second) : table;
    const RowSet nothing;
    const RowSet& among =
        shape == indexes_.end() ? nothing : statistics->PartialRows(shape->second.predicate);
    const bool is_end_only = node.access == Access::kSearch && node.terms.empty();
    loop->visited = is_end_only ? 1
                    : search.is_complete
                        ? statistics->rows() * JointShare(search.terms, among, statistics)
                        : GuessedRows(node, statistics);
    loop->pages_per_visit = 1 / index.rows_per_leaf;
    loop->pages_per_seek = index.height - 1;
    if (node.is_covering) {
        return;
    }
    Terms in_index = search.terms;
    loop->is_filtered_by_table = !mention.branches.empty();
    for (const PricedTerm& term : mention.terms) {
        if (Has(search.terms, term)) {
            continue;
        }
        const bool is_known =
            shape != indexes_.end() && !term.term.is_join &&
            std::any_of(shape->second.keys.begin(), shape->second.keys.end(),
                        [&](const KeyExpression& key) { return key.column == term.term.column; });
        if (is_known) {
            in_index.push_back(&term);
        } else {
            loop->is_filtered_by_table = true;
        }
    }
    loop->steps_per_visit += kLookupSteps;
    loop->pages_per_lookup = std::max(1.0, table.height - 1);
    loop->lookups =
        std::min(loop->visited, in_index.size() == search.terms.size()
                                    ? loop->visited
                                    : statistics->rows() * JointShare(in_index, among, statistics));
}

Loop LoopPricer::OfTerms(PlanNode* node, const PricedMention& mention,
                         const std::vector<PricedTerm>& from, bool is_inner) const {
    Statistics* statistics = mention.statistics;
    const TreeSize table = statistics->TableSize();
    Loop loop;
    loop.node = node;
    const Search search = SearchOf(*node, mention, from);
    loop.seeks = search.seeks;
    loop.search = search.terms;
    loop.is_search_known = search.terms.size() == node->terms.size();
    loop.steps_per_visit += CheckSteps(mention, search.terms);
    switch (node->access) {
        case Access::kAutomatic:
            BuildAutomatic(mention, search.is_complete, search.terms, &loop);
            break;
        case Access::kScan:
        case Access::kRowid:
            loop.visited = node->access == Access::kScan ? statistics->rows()
                           : node->terms.empty()         ? 1
                           : search.is_complete
                               ? statistics->rows() * JointShare(search.terms, {}, statistics)
                               : GuessedRows(*node, statistics);
            loop.pages_per_visit = 1 / table.rows_per_leaf;
            loop.pages_per_seek = table.height - 1;
            break;
        default:
            ReadIndex(mention, search, &loop);
    }
    const bool is_inner_scan = is_inner && search.terms.empty();
    loop.matched = std::min(MatchedRows(mention, search.terms, is_inner_scan), loop.visited);
    return loop;
}

Loop LoopPricer::OfTable(PlanNode* node, const PricedMention& mention, bool is_inner) {
    return OfTerms(node, mention, mention.terms, is_inner);
}

Loop LoopPricer::OfOr(PlanNode* node) {
    Loop loop;
    loop.node = node;
    const PricedMention* mention = nullptr;
    size_t number = 0;
    for (PlanNode& branch : node->children) {
        for (PlanNode& leaf : branch.children) {
            if (leaf.access == Access::kOther) {
                continue;
            }
            mention = mention == nullptr ? FindMention(leaf) : mention;
            if (mention == nullptr || mention->statistics == nullptr) {
                continue;
            }
            const bool has_branch = number < mention->branches.size();
            const Loop one = OfTerms(
                &leaf, *mention, has_branch ? mention->branches[number] : mention->terms, false);
            loop.seeks += one.seeks;
            loop.visited += one.visited;
            loop.lookups += one.node->is_covering ? 0 : one.visited;
            loop.pages_per_seek = std::max(loop.pages_per_seek, one.pages_per_seek);
            loop.pages_per_visit = std::max(loop.pages_per_visit, one.pages_per_visit);
            loop.pages_per_lookup = std::max(loop.pages_per_lookup, one.pages_per_lookup);
            leaf.rows = one.visited;
        }
        ++number;
    }
    loop.is_filtered_by_table = true;
    loop.steps_per_visit = kNextSteps + kLookupSteps + 4;  // RowSet or ephemeral test, Gosub
    loop.matched = mention == nullptr || mention->statistics == nullptr
                       ? kUnknownRows
                       : std::min(loop.visited, MatchedRows(*mention, {}, false));
    return loop;
}

Loop LoopPricer::OfResult(PlanNode* node, double rows, bool is_inner) {
    Loop loop;
    loop.node = node;
    loop.steps_per_seek = 2;
    loop.visited = node->detail == "SCAN CONSTANT ROW" ? 1 : rows;
    if (node->access == Access::kAutomatic || node->access == Access::kSearch) {
        loop.steps_once = loop.visited * 4;
        loop.visited = std::max(1.0, loop.visited / kUnknownRows);
    }
    loop.matched = is_inner && node->access != Access::kVirtual ? 1 : loop.visited;
    loop.pages_once = 0;
    return loop;
}

namespace {

/// Both lists of rows as one: in each that is not empty. Empty: all rows.
void Narrow(const RowSet& by, RowSet* rows) {
    if (rows->empty()) {
        *rows = by;
        return;
    }
    for (size_t i = 0; i < rows->size() && i < by.size(); ++i) {
        (*rows)[i] = (*rows)[i] & by[i];
    }
}

// Fewer matching rows in the sample do not show where they stand.
constexpr size_t kFewPlaces = 3;
// Farther from the beginning than so many of their own distances: they stand apart.
constexpr double kFarGaps = 5;

/// Rows visited (of the sample) until `wanted` have matched; `places` of those that match, among
/// `visited`. < 0: they are spread.
double VisitsUntil(const std::vector<double>& places, double visited, double wanted) {
    const double count = static_cast<double>(places.size());
    const double gap = (places.back() - places.front()) / (count - 1);
    if (places.front() < kFarGaps * gap) {
        return -1;
    }
    if (wanted >= count) {
        return visited;
    }
    if (wanted >= 1) {
        return places[static_cast<size_t>(wanted) - 1];
    }
    // Before the first one seen there are others that the sample has not: some gaps before.
    return std::max(0.0, places.front() - 2 * gap) + wanted * gap;
}

}  // namespace

double LoopPricer::ShareUntil(const Loop& loop, const PricedMention& mention, double wanted) const {
    Statistics* statistics = mention.statistics;
    const auto shape = indexes_.find(loop.node->index);
    const bool is_by_rowid = loop.node->access == Access::kScan;
    if (!loop.is_search_known || loop.seeks > 1 || (!is_by_rowid && shape == indexes_.end()) ||
        !mention.branches.empty()) {
        return -1;
    }
    int key = -1;
    size_t fixed = 0;
    while (fixed < loop.node->terms.size() && loop.node->terms[fixed].op == '=') {
        ++fixed;
    }
    if (!is_by_rowid && fixed < shape->second.keys.size()) {
        key = shape->second.keys[fixed].column;
    }
    if (key < -1) {
        return -1;
    }
    RowSet visited = is_by_rowid ? RowSet() : statistics->PartialRows(shape->second.predicate);
    for (const PricedTerm* term : loop.search) {
        if (term->rows.empty()) {
            return -1;
        }
        Narrow(term->rows, &visited);
    }
    RowSet matched = visited;
    double unseen = 1;  // conditions that the sample says nothing of
    for (const PricedTerm& term : mention.terms) {
        if (!Has(loop.search, term) && !term.term.is_join) {
            unseen *= term.rows.empty() ? term.share : 1;
            if (!term.rows.empty()) {
                Narrow(term.rows, &matched);
            }
        }
    }
    const std::vector<int32_t>& order = statistics->sample().InOrder(key);
    const bool is_backwards = !mention.order.empty() && mention.order.front().column == key &&
                              mention.order.front().is_descending;
    std::vector<double> places;
    double count = 0;
    for (size_t i = 0; i < order.size(); ++i) {
        const auto row = static_cast<size_t>(order[is_backwards ? order.size() - 1 - i : i]);
        if (visited.empty() || (row < visited.size() && visited[row] != 0)) {
            ++count;
            if (matched.empty() || (row < matched.size() && matched[row] != 0)) {
                places.push_back(count);
            }
        }
    }
    if (places.size() < kFewPlaces || statistics->rows() <= 0) {
        return -1;
    }
    const double n = static_cast<double>(statistics->sample().sampled_rows());
    return VisitsUntil(places, count, wanted / std::max(unseen, 1e-9) * n / statistics->rows()) /
           count;
}

bool LoopPricer::ComesInOrder(const PlanNode& node, const PricedMention& mention,
                              const std::string& column) const {
    const auto shape = indexes_.find(node.index);
    if (shape == indexes_.end() || node.access == Access::kRowid) {
        return node.access == Access::kRowid && node.terms.empty();
    }
    size_t fixed = 0;
    while (fixed < node.terms.size() && node.terms[fixed].op == '=') {
        ++fixed;
    }
    if (fixed >= shape->second.keys.size() || shape->second.keys[fixed].column < 0) {
        return false;
    }
    const auto place = static_cast<size_t>(shape->second.keys[fixed].column);
    return place < mention.columns.size() && Lower(mention.columns[place].name) == column;
}

}  // namespace upkeep::sqlite
