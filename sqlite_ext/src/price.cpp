// SPDX-License-Identifier: PostgreSQL
#include "price.h"

#include <algorithm>
#include <cmath>

namespace upkeep::sqlite {

namespace {

// VM steps, counted in the bytecode of 3.40.
constexpr double kStartSteps = 10;     // Init, Transaction, Halt, opening cursors
constexpr double kSeekSteps = 5;       // load and convert the key, seek, null check
constexpr double kNextSteps = 2;       // Next and the comparison with the end of the range
constexpr double kLookupSteps = 1;     // DeferredSeek
constexpr double kTermSteps = 2;       // Column and comparison of a condition checked by row
constexpr double kSorterSteps = 6;     // into and out of the sorter, beside the columns
constexpr double kCompareSteps = 0.1;  // a sorter's comparison, in steps of ~11 ns
constexpr double kWriteSteps = 15;     // a row found twice, its record made, table written
constexpr double kIndexWriteSteps = 5;
constexpr double kTreePages = 2;  // pages requested by a write into one small tree
// Without a value: share of rows that a one-sided range, a pattern or <> lets through.
constexpr double kRangeShare = 1.0 / 3, kPatternShare = 0.2, kUnequalShare = 0.9;
// Rows of what has no statistics: table-valued functions, recursive queries.
constexpr double kUnknownRows = 20;
// Fewer sampled rows than this say little about a combination of conditions.
constexpr double kFewRows = 5;

bool IsEqual(const Term& term) {
    return term.op == SQLITE_INDEX_CONSTRAINT_EQ || term.op == SQLITE_INDEX_CONSTRAINT_IS ||
           term.op == SQLITE_INDEX_CONSTRAINT_ISNULL;
}

bool FitsPlan(const Term& term, char op) {
    switch (op) {
        case '>':
            return term.op == SQLITE_INDEX_CONSTRAINT_GT || term.op == SQLITE_INDEX_CONSTRAINT_GE;
        case '<':
            return term.op == SQLITE_INDEX_CONSTRAINT_LT || term.op == SQLITE_INDEX_CONSTRAINT_LE;
        default:
            return IsEqual(term);
    }
}

/// The condition as SQL over the sample; empty: it has no SQL form here.
std::string TermSql(const Term& term, const std::string& column) {
    const std::string collated =
        column + (term.collation.empty() ? "" : " COLLATE " + Quoted(term.collation));
    switch (term.op) {
        case SQLITE_INDEX_CONSTRAINT_EQ:
            return collated + " = ?1";
        case SQLITE_INDEX_CONSTRAINT_IS:
            return collated + " IS ?1";
        case SQLITE_INDEX_CONSTRAINT_ISNOT:
            return collated + " IS NOT ?1";
        case SQLITE_INDEX_CONSTRAINT_NE:
            return collated + " <> ?1";
        case SQLITE_INDEX_CONSTRAINT_GT:
            return collated + " > ?1";
        case SQLITE_INDEX_CONSTRAINT_GE:
            return collated + " >= ?1";
        case SQLITE_INDEX_CONSTRAINT_LT:
            return collated + " < ?1";
        case SQLITE_INDEX_CONSTRAINT_LE:
            return collated + " <= ?1";
        case SQLITE_INDEX_CONSTRAINT_LIKE:
            return column + " LIKE ?1";
        case SQLITE_INDEX_CONSTRAINT_GLOB:
            return column + " GLOB ?1";
        case SQLITE_INDEX_CONSTRAINT_ISNULL:
            return column + " IS NULL";
        case SQLITE_INDEX_CONSTRAINT_ISNOTNULL:
            return column + " IS NOT NULL";
        default:
            return "";
    }
}

bool NeedsNoValue(const Term& term) {
    return term.op == SQLITE_INDEX_CONSTRAINT_ISNULL ||
           term.op == SQLITE_INDEX_CONSTRAINT_ISNOTNULL;
}

double UnknownShare(const Term& term, Statistics* statistics) {
    switch (term.op) {
        case SQLITE_INDEX_CONSTRAINT_EQ:
        case SQLITE_INDEX_CONSTRAINT_IS:
        case SQLITE_INDEX_CONSTRAINT_ISNULL: {
            const double nulls = term.column >= 0 ? statistics->sample().NullRatio(term.column) : 0;
            return (1 - nulls) / statistics->DistinctColumn(term.column);
        }
        case SQLITE_INDEX_CONSTRAINT_GT:
        case SQLITE_INDEX_CONSTRAINT_GE:
        case SQLITE_INDEX_CONSTRAINT_LT:
        case SQLITE_INDEX_CONSTRAINT_LE:
            return kRangeShare;
        case SQLITE_INDEX_CONSTRAINT_LIKE:
        case SQLITE_INDEX_CONSTRAINT_GLOB:
        case SQLITE_INDEX_CONSTRAINT_REGEXP:
        case SQLITE_INDEX_CONSTRAINT_MATCH:
            return kPatternShare;
        default:
            return kUnequalShare;
    }
}

PricedTerm PriceTerm(const Term& term, Statistics* statistics, const InList* list) {
    PricedTerm priced;
    priced.term = term;
    const std::string& column = statistics->sample().ColumnSql(term.column);
    if (term.is_in) {
        priced.in_count = list != nullptr && list->count > 0 ? list->count : kUnknownRows;
        if (list != nullptr && !list->list.empty()) {
            priced.rows = statistics->sample().Matching(column + " IN " + list->list, nullptr);
        }
    } else if (!term.is_join && (term.literal.is_known() || NeedsNoValue(term))) {
        const std::string sql = TermSql(term, column);
        if (!sql.empty()) {
            priced.rows = statistics->sample().Matching(
                sql, term.literal.is_known() ? term.literal.get() : nullptr);
        }
    }
    const double unknown = UnknownShare(term, statistics) * priced.in_count;
    if (priced.rows.empty()) {
        priced.share = std::min(1.0, unknown);
        return priced;
    }
    const double hits = static_cast<double>(std::count(priced.rows.begin(), priced.rows.end(), 1));
    priced.share = statistics->Share(priced.rows);
    if (hits < kFewRows && IsEqual(term) &&
        static_cast<double>(priced.rows.size()) < statistics->rows()) {
        // Rare in the sample: a typical value, but rarer than what the sample would have shown.
        priced.share = hits < 1 ? std::min(unknown, priced.share) : std::min(priced.share, 1.0);
        if (statistics->DistinctColumn(term.column) > 0.5 * statistics->rows()) {
            priced.share = std::min(priced.share, unknown);
        }
    }
    return priced;
}

const InList* FindList(const Term& term, const std::vector<CatalogColumn>& columns,
                       const TextFacts& text) {
    const std::string name =
        term.column < 0 ? "rowid" : Lower(columns[static_cast<size_t>(term.column)].name);
    const auto lists = text.in_lists.find(name);
    return lists == text.in_lists.end() ? nullptr : &lists->second.front();
}

using Terms = std::vector<const PricedTerm*>;

/// Share of the rows that satisfy all terms and are in `among` (empty: all).
double JointShare(const Terms& terms, const RowSet& among, Statistics* statistics) {
    RowSet joint = among;
    double unknown = 1;
    double product = among.empty() ? 1 : statistics->Share(among);
    for (const PricedTerm* term : terms) {
        if (term->rows.empty()) {
            unknown *= term->share;
            continue;
        }
        product *= term->share;
        if (joint.empty()) {
            joint = term->rows;
        } else {
            for (size_t i = 0; i < joint.size() && i < term->rows.size(); ++i) {
                joint[i] = joint[i] & term->rows[i];
            }
        }
    }
    if (joint.empty()) {
        return unknown;
    }
    const double hits = static_cast<double>(std::count(joint.begin(), joint.end(), 1));
    const double n = static_cast<double>(joint.size());
    if (hits >= kFewRows || n >= statistics->rows()) {
        return unknown * hits / n;
    }
    return unknown * (hits < 1 ? std::min(product, 1 / n)
                               : std::max(std::min(product, hits / n), 0.1 * hits / n));
}

/// One loop of a nest, per iteration of the loops around it.
struct Loop {
    PlanNode* node = nullptr;
    double seeks = 0;
    double visited = 0;
    double matched = 1;
    double steps_per_seek = kSeekSteps;
    double pages_per_seek = 0;
    double steps_per_visit = kNextSteps;
    double pages_per_visit = 0;
    double steps_once = 0;  // automatic indexes, Bloom filters
    double pages_once = 1;  // the root pages
};

class Pricer {
  public:
    Pricer(const PricedStatement& statement, const IndexShapes& indexes)
        : statement_(statement), indexes_(indexes), taken_(statement.mentions.size(), false) {}

    double Total(std::vector<PlanNode>* plan) {
        const double rows = Nest(plan, 1, statement_.text.limit);
        double steps = kStartSteps;
        double pages = 0;
        if (statement_.is_write) {
            steps += rows * (kWriteSteps + kIndexWriteSteps * statement_.indexes_on_written);
            pages += rows * kTreePages * (1 + statement_.indexes_on_written);
        }
        Sum(*plan, &steps, &pages);
        return steps + kPageWeight * pages;
    }

  private:
    static void Sum(const std::vector<PlanNode>& nodes, double* steps, double* pages) {
        for (const PlanNode& node : nodes) {
            *steps += node.steps;
            *pages += node.pages;
            Sum(node.children, steps, pages);
        }
    }

    const PricedMention* FindMention(const PlanNode& node) {
        std::string name = Lower(node.table);
        if (const size_t dot = name.rfind('.'); dot != std::string::npos) {
            name = name.substr(dot + 1);
        }
        const PricedMention* found = nullptr;
        for (size_t i = 0; i < statement_.mentions.size(); ++i) {
            const PricedMention& mention = statement_.mentions[i];
            std::string alias = mention.alias;
            if (const size_t dot = alias.rfind('.'); dot != std::string::npos) {
                alias = alias.substr(dot + 1);
            }
            if (alias != name) {
                continue;
            }
            if (!taken_[i]) {
                taken_[i] = true;
                return &mention;
            }
            found = &mention;
        }
        return found;
    }

    static std::string ColumnOf(const PricedMention& mention, const Term& term) {
        const int rowid = mention.statistics->sample().rowid_column();
        if (term.column < 0 || term.column == rowid) {
            return "rowid";
        }
        return Lower(mention.columns[static_cast<size_t>(term.column)].name);
    }

    /// Terms that the search uses, and the number of separate seeks (IN lists, ANY).
    Terms SearchTerms(const PlanNode& node, const PricedMention& mention,
                      const std::vector<PricedTerm>& from, double* seeks) {
        Terms used;
        for (const PlanTerm& wanted : node.terms) {
            if (wanted.op == 'A') {
                for (size_t c = 0; c < mention.columns.size(); ++c) {
                    if (Lower(mention.columns[c].name) == Lower(wanted.column)) {
                        *seeks *= mention.statistics->DistinctColumn(static_cast<int>(c)) + 1;
                    }
                }
                continue;
            }
            const PricedTerm* best = nullptr;
            for (const PricedTerm& term : from) {
                if (ColumnOf(mention, term.term) == Lower(wanted.column) &&
                    FitsPlan(term.term, wanted.op) &&
                    (best == nullptr || term.share < best->share)) {
                    best = &term;
                }
            }
            if (best != nullptr) {
                used.push_back(best);
                *seeks *= best->term.is_in ? best->in_count : 1;
            }
        }
        return used;
    }

    /// Visited rows of a search by terms that the recorder did not see (expressions, parameters).
    double GuessedRows(const PlanNode& node, Statistics* statistics) {
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

    /// Conditions that hold after this loop: constants, and joins that its search used.
    double MatchedRows(const PricedMention& mention, const Terms& search, bool is_inner_scan) {
        Terms all;
        bool is_join_left = is_inner_scan;  // a scan inside other loops checks its join by row
        for (const PricedTerm& term : mention.terms) {
            const bool is_searched = std::find(search.begin(), search.end(), &term) != search.end();
            const bool is_checked = term.term.is_join && IsEqual(term.term) && is_join_left;
            if (!term.term.is_join || is_searched || is_checked) {
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

    Loop TableLoop(PlanNode* node, const PricedMention& mention,
                   const std::vector<PricedTerm>& from, bool is_inner) {
        Statistics* statistics = mention.statistics;
        const TreeSize table = statistics->TableSize();
        const double columns = static_cast<double>(mention.needed);
        Loop loop;
        loop.node = node;
        loop.seeks = 1;
        const Terms search = SearchTerms(*node, mention, from, &loop.seeks);
        const double residual =
            static_cast<double>(mention.terms.size()) - static_cast<double>(search.size());
        loop.steps_per_visit += kTermSteps * std::clamp(residual, 0.0, 5.0) * 0.6;
        const auto shape = indexes_.find(node->index);
        const TreeSize index = shape != indexes_.end() && node->access != Access::kRowid
                                   ? statistics->IndexSize(shape->second)
                                   : table;
        const bool is_complete = search.size() == node->terms.size() ||
                                 (!search.empty() && node->terms.front().op == 'A');
        switch (node->access) {
            case Access::kScan:
                loop.visited = statistics->rows();
                loop.pages_per_visit = 1 / table.rows_per_leaf;
                loop.pages_per_seek = table.height - 1;
                break;
            case Access::kRowid:
                loop.visited = node->terms.empty() ? 1
                               : is_complete
                                   ? statistics->rows() * JointShare(search, {}, statistics)
                                   : GuessedRows(*node, statistics);
                loop.pages_per_visit = 1 / table.rows_per_leaf;
                loop.pages_per_seek = table.height - 1;
                break;
            case Access::kAutomatic:
                loop.visited =
                    statistics->rows() * (is_complete ? JointShare(search, {}, statistics)
                                                      : 1 / std::max(1.0, statistics->rows()));
                loop.steps_once =
                    statistics->rows() * (5 + columns) +
                    statistics->rows() * std::log2(statistics->rows() + 2) * kCompareSteps;
                loop.pages_once = table.leaf_pages;
                break;
            default: {  // an index, searched or scanned
                const RowSet& among = shape == indexes_.end()
                                          ? all_
                                          : statistics->PartialRows(shape->second.predicate);
                const bool is_end_only = node->access == Access::kSearch && node->terms.empty();
                loop.visited = is_end_only ? 1
                               : is_complete
                                   ? statistics->rows() * JointShare(search, among, statistics)
                                   : GuessedRows(*node, statistics);
                loop.pages_per_visit = 1 / index.rows_per_leaf;
                loop.pages_per_seek = index.height - 1;
                if (!node->is_covering) {
                    loop.steps_per_visit += kLookupSteps;
                    loop.pages_per_visit += std::max(1.0, table.height - 1);
                }
            }
        }
        const bool is_inner_scan = is_inner && search.empty();
        loop.matched = std::min(MatchedRows(mention, search, is_inner_scan), loop.visited);
        return loop;
    }

    /// A loop over a subquery's result, a table-valued function or a table without statistics.
    Loop OtherLoop(PlanNode* node, bool is_inner) {
        Loop loop;
        loop.node = node;
        loop.seeks = 1;
        loop.steps_per_seek = 2;
        const auto known = results_.find(Lower(node->table));
        loop.visited = known == results_.end() ? kUnknownRows : known->second;
        if (node->detail == "SCAN CONSTANT ROW") {
            loop.visited = 1;
        }
        if (node->access == Access::kAutomatic || node->access == Access::kSearch) {
            loop.steps_once = loop.visited * 4;
            loop.visited = std::max(1.0, loop.visited / kUnknownRows);
        }
        loop.matched = is_inner && node->access != Access::kVirtual ? 1 : loop.visited;
        loop.pages_once = 0;
        return loop;
    }

    /// MULTI-INDEX OR: each branch seeks; every row found is looked up in the table.
    Loop OrLoop(PlanNode* node) {
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
                if (mention == nullptr) {
                    continue;
                }
                const bool has_branch = number < mention->branches.size();
                Loop one =
                    TableLoop(&leaf, *mention,
                              has_branch ? mention->branches[number] : mention->terms, false);
                loop.seeks += one.seeks;
                loop.visited += one.visited;
                loop.pages_per_seek = std::max(loop.pages_per_seek, one.pages_per_seek);
                loop.pages_per_visit = std::max(loop.pages_per_visit, one.pages_per_visit);
                leaf.rows = one.visited;
            }
            ++number;
        }
        loop.steps_per_visit = kNextSteps + kLookupSteps + 4;  // RowSet or ephemeral test, Gosub
        loop.matched = mention == nullptr
                           ? kUnknownRows
                           : std::min(loop.visited, MatchedRows(*mention, {}, false));
        return loop;
    }

    static bool Has(const PlanNode& node, const char* text) {
        return node.detail.find(text) != std::string::npos;
    }

    /// Groups of the mention that is grouped, among `rows` rows.
    double Groups(const std::vector<const PricedMention*>& mentions, double rows) {
        for (const PricedMention* mention : mentions) {
            std::vector<KeyExpression> keys;
            for (const int column : mention->group) {
                keys.push_back({mention->statistics->sample().ColumnSql(column), "BINARY", column});
            }
            if (!keys.empty()) {
                return std::min(rows, mention->statistics->Distinct(keys));
            }
        }
        return rows;
    }

    /// Prices the nodes of one level, `times` executions, and returns its rows per execution.
    /// `limit` < 0: none.
    double Nest(std::vector<PlanNode>* nodes, double times, double limit) {
        std::vector<Loop> loops;
        std::vector<const PricedMention*> mentions;
        bool is_sorted = false;
        double result = 0;
        bool is_compound = false;
        double columns = 0;
        for (PlanNode& node : *nodes) {
            if (node.access != Access::kOther) {
                const PricedMention* mention =
                    node.access == Access::kVirtual ? nullptr : FindMention(node);
                if (mention != nullptr && mention->statistics != nullptr) {
                    mentions.push_back(mention);
                    columns += static_cast<double>(mention->needed);
                    loops.push_back(TableLoop(&node, *mention, mention->terms, !loops.empty()));
                } else {
                    loops.push_back(OtherLoop(&node, !loops.empty()));
                }
            } else if (node.detail == "MULTI-INDEX OR") {
                loops.push_back(OrLoop(&node));
            } else if (Has(node, "USE TEMP B-TREE FOR ")) {
                is_sorted = is_sorted || !Has(node, "RIGHT PART OF");
            } else if (!node.children.empty() && !Has(node, "CORRELATED")) {
                result += Part(&node, times);
                is_compound = is_compound || Has(node, "UNION") || Has(node, "COMPOUND") ||
                              Has(node, "LEFT") || Has(node, "RIGHT") || Has(node, "EXCEPT") ||
                              Has(node, "INTERSECT") || Has(node, "SETUP") ||
                              Has(node, "RECURSIVE");
            }
        }
        if (loops.empty()) {
            return is_compound ? result : 1;
        }
        double rows = 1;
        for (const Loop& loop : loops) {
            rows *= loop.matched;
        }
        const double groups = Groups(mentions, rows);
        const bool stops_early = limit >= 0 && !is_sorted && !statement_.text.has_aggregate;
        const double part = stops_early && groups > limit ? limit / groups : 1;
        Charge(&loops, times, part);
        ChargeOutput(nodes, times, rows * part, columns, groups);
        const double out = limit >= 0 ? std::min(groups, limit) : groups;
        for (PlanNode& node : *nodes) {
            if (Has(node, "CORRELATED")) {
                Nest(&node.children, times * std::max(1.0, rows * part),
                     statement_.text.has_exists ? 1 : -1);
            }
        }
        return out;
    }

    /// A subquery that runs once for each execution of the level.
    double Part(PlanNode* node, double times) {
        const double rows = Nest(&node->children, times, -1);
        node->rows = rows;
        for (const char* head : {"MATERIALIZE ", "CO-ROUTINE "}) {
            if (node->detail.rfind(head, 0) == 0) {
                results_[Lower(node->detail.substr(std::string(head).size()))] =
                    std::max(1.0, rows);
                node->steps = times * rows * 4;
            }
        }
        return rows;
    }

    void Charge(std::vector<Loop>* loops, double times, double part) {
        double outer = 1;
        bool is_first = true;
        for (Loop& loop : *loops) {
            const double share = is_first ? part : 1;
            const double iterations = is_first ? 1 : std::max(outer * part, 1.0);
            double visited = loop.visited * share;
            if (loop.visited >= 1) {
                visited = std::max(visited, 1.0);
            }
            const double seeks = std::max(1.0, loop.seeks * share);
            const double steps = seeks * loop.steps_per_seek + visited * loop.steps_per_visit;
            const double pages = seeks * loop.pages_per_seek + visited * loop.pages_per_visit;
            loop.node->steps += times * iterations * steps + loop.steps_once;
            loop.node->pages += times * iterations * pages + loop.pages_once;
            loop.node->rows = iterations * visited;
            outer *= loop.matched;
            is_first = false;
        }
    }

    /// What happens to the rows that come out: sorting, grouping, results.
    static void ChargeOutput(std::vector<PlanNode>* nodes, double times, double rows,
                             double columns, double groups) {
        double output = times * std::min(rows, groups) * (1 + columns);
        for (PlanNode& node : *nodes) {
            if (node.access == Access::kOther && Has(node, "USE TEMP B-TREE FOR ")) {
                node.rows = rows;
                node.steps +=
                    times * rows * (kSorterSteps + columns + kCompareSteps * std::log2(rows + 2));
            } else if (node.detail.rfind("BLOOM FILTER ON ", 0) == 0) {
                node.steps += 4 * rows;
            }
        }
        for (auto node = nodes->rbegin(); node != nodes->rend(); ++node) {
            if (node->access != Access::kOther || node->detail == "MULTI-INDEX OR") {
                node->steps += output;
                break;
            }
        }
    }

    const PricedStatement& statement_;
    const IndexShapes& indexes_;
    std::vector<bool> taken_;
    std::map<std::string, double> results_;  // rows of materialised subqueries and co-routines
    const RowSet all_;
};

}  // namespace

PricedMention PriceMention(const Mention& mention, const std::vector<CatalogColumn>& columns,
                           Statistics* statistics, const TextFacts& text) {
    PricedMention priced;
    priced.alias = Lower(mention.alias);
    priced.table = Lower(mention.table);
    priced.statistics = statistics;
    priced.columns = columns;
    priced.group = mention.group;
    priced.needed = mention.needed.size();
    for (const Term& term : mention.terms) {
        priced.terms.push_back(PriceTerm(term, statistics, FindList(term, columns, text)));
    }
    for (const std::vector<Term>& branch : mention.branches) {
        priced.branches.emplace_back();
        for (const Term& term : branch) {
            priced.branches.back().push_back(
                PriceTerm(term, statistics, FindList(term, columns, text)));
        }
    }
    return priced;
}

double PricePlan(std::vector<PlanNode>* plan, const PricedStatement& statement,
                 const IndexShapes& indexes) {
    return Pricer(statement, indexes).Total(plan);
}

}  // namespace upkeep::sqlite
