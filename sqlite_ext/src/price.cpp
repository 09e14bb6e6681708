// SPDX-License-Identifier: PostgreSQL
#include "price.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace upkeep::sqlite {

namespace {

// VM steps, counted in the bytecode of 3.40.
constexpr double kStartSteps = 10;     // Init, Transaction, Halt, opening cursors
constexpr double kSorterSteps = 6;     // into and out of the sorter, beside the columns
constexpr double kCompareSteps = 0.1;  // a sorter's comparison, in steps of ~11 ns
constexpr double kWriteSteps = 15;     // a row found twice, its record made, table written
constexpr double kIndexWriteSteps = 5;
constexpr double kTreePages = 2;  // pages requested by a write into one small tree

bool Has(const PlanNode& node, const char* text) {
    return node.detail.find(text) != std::string::npos;
}

bool IsCompound(const PlanNode& node) {
    for (const char* word :
         {"UNION", "COMPOUND", "LEFT", "RIGHT", "EXCEPT", "INTERSECT", "SETUP", "RECURSIVE"}) {
        if (Has(node, word)) {
            return true;
        }
    }
    return false;
}

class Pricer {
  public:
    Pricer(const PricedStatement& statement, const IndexShapes& indexes)
        : statement_(statement), loops_(statement.mentions, indexes) {}

    double Rows(std::vector<PlanNode>* plan) {
        return Nest(plan, 1, statement_.text.limit, /*is_outermost=*/true);
    }

    double Total(std::vector<PlanNode>* plan) {
        const double rows = Rows(plan);
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
    /// The loops of one level and what stands around them.
    struct Level {
        std::vector<Loop> loops;
        std::vector<const PricedMention*> mentions;
        const PricedMention* first = nullptr;  // of the first loop, if it reads a table
        bool is_sorted = false;
        bool is_compound = false;
        double parts = 0;  // rows of compounds
        double columns = 0;
    };

    static void Sum(const std::vector<PlanNode>& nodes, double* steps, double* pages) {
        for (const PlanNode& node : nodes) {
            *steps += node.steps;
            *pages += node.pages;
            Sum(node.children, steps, pages);
        }
    }

    void AddLoop(PlanNode* node, Level* level) {
        const bool is_inner = !level->loops.empty();
        const PricedMention* mention =
            node->access == Access::kVirtual ? nullptr : loops_.FindMention(*node);
        if (mention != nullptr && mention->statistics != nullptr) {
            level->mentions.push_back(mention);
            level->first = is_inner ? level->first : mention;
            level->columns += static_cast<double>(mention->needed);
            level->loops.push_back(loops_.OfTable(node, *mention, is_inner));
            return;
        }
        const auto known = results_.find(Lower(node->table));
        // `SCAN 3 CONSTANT ROWS` is VALUES.
        const double unknown =
            Has(*node, " CONSTANT ROW") ? strtod(node->table.c_str(), nullptr) : kUnknownRows;
        level->loops.push_back(LoopPricer::OfResult(
            node, known == results_.end() ? unknown : known->second, is_inner));
    }

    Level Read(std::vector<PlanNode>* nodes, double times) {
        Level level;
        for (PlanNode& node : *nodes) {
            if (node.access != Access::kOther) {
                AddLoop(&node, &level);
            } else if (node.detail == "MULTI-INDEX OR") {
                level.loops.push_back(loops_.OfOr(&node));
            } else if (Has(node, "USE TEMP B-TREE FOR ")) {
                level.is_sorted = level.is_sorted || !Has(node, "RIGHT PART OF");
            } else if (!node.children.empty() && !Has(node, "CORRELATED")) {
                level.parts += Part(&node, times);
                level.is_compound = level.is_compound || IsCompound(node);
            }
        }
        return level;
    }

    /// Groups of the mention that is grouped, among `rows` rows.
    static double Groups(const std::vector<const PricedMention*>& mentions, double rows) {
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

    /// min(x) or max(x) alone, served by an order: the first row that matches is the last one read.
    bool IsEndOnly(const Level& level) const {
        return !statement_.text.extreme_column.empty() && level.loops.size() == 1 &&
               level.mentions.size() == 1 &&
               loops_.ComesInOrder(*level.loops[0].node, *level.mentions[0],
                                   statement_.text.extreme_column);
    }

    /// Prices the nodes of one level, `times` executions, and returns its rows per execution.
    /// `limit` < 0: none.
    double Nest(std::vector<PlanNode>* nodes, double times, double limit, bool is_outermost) {
        Level level = Read(nodes, times);
        if (level.loops.empty()) {
            return level.is_compound ? level.parts : 1;
        }
        double rows = 1;
        for (const Loop& loop : level.loops) {
            rows *= loop.matched;
        }
        const double groups = Groups(level.mentions, rows);
        bool stops_early = limit >= 0 && !level.is_sorted && !statement_.text.has_aggregate;
        if (is_outermost && IsEndOnly(level)) {
            stops_early = true;
            limit = 1;
        }
        const double part = stops_early && groups > limit ? limit / groups : 1;
        if (stops_early && is_outermost && level.loops.size() == 1 && limit > 0 &&
            !level.loops[0].is_filtered_by_table) {
            // Rows that OFFSET skips are not looked up.
            level.loops[0].lookups *= 1 - std::min(1.0, statement_.text.offset / limit);
        }
        Charge(&level.loops, times, part, FirstShare(level, part, rows));
        const double skipped = is_outermost ? statement_.text.offset : 0;
        const double shown = std::max(1.0, std::min(rows * part, groups) - skipped);
        ChargeOutput(nodes, times, rows * part, level.columns, shown);
        const double out = limit >= 0 ? std::min(groups, limit) : groups;
        for (PlanNode& node : *nodes) {
            if (Has(node, "CORRELATED")) {
                Nest(&node.children, times * std::max(1.0, rows * part),
                     statement_.text.has_exists ? 1 : -1, /*is_outermost=*/false);
            }
        }
        return out;
    }

    /// A subquery that runs once for each execution of the level.
    double Part(PlanNode* node, double times) {
        const double rows = Nest(&node->children, times, -1, /*is_outermost=*/false);
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

    /// Share of the first loop's rows that are visited for `part` of the level's `rows`.
    double FirstShare(const Level& level, double part, double rows) const {
        if (part >= 1 || !statement_.text.extreme_column.empty() || level.mentions.empty() ||
            level.loops.front().matched <= 0 || level.mentions.front() != level.first) {
            return part;
        }
        const double wanted = rows * part / (rows / level.loops.front().matched);
        const double share = loops_.ShareUntil(level.loops.front(), *level.first, wanted);
        return share < 0 ? part : std::min(1.0, share);
    }

    static void Charge(std::vector<Loop>* loops, double times, double part, double first_share) {
        double outer = 1;
        bool is_first = true;
        for (Loop& loop : *loops) {
            const double share = is_first ? first_share : 1;
            const double iterations = is_first ? 1 : std::max(outer * part, 1.0);
            double visited = loop.visited * share;
            if (loop.visited >= 1) {
                visited = std::max(visited, 1.0);
            }
            const double lookups = std::min(visited, loop.lookups * share);
            const double seeks = std::max(1.0, loop.seeks * share);
            const double steps = seeks * loop.steps_per_seek + visited * loop.steps_per_visit;
            const double pages = seeks * loop.pages_per_seek + visited * loop.pages_per_visit +
                                 lookups * loop.pages_per_lookup;
            loop.node->steps += times * iterations * steps + loop.steps_once;
            loop.node->pages += times * iterations * pages + loop.pages_once;
            loop.node->rows = iterations * visited;
            outer *= loop.matched;
            is_first = false;
        }
    }

    /// What happens to the rows that come out: sorting, grouping, results.
    static void ChargeOutput(std::vector<PlanNode>* nodes, double times, double rows,
                             double columns, double shown) {
        const double output = times * shown * (1 + columns);
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
    LoopPricer loops_;
    std::map<std::string, double> results_;  // rows of materialised subqueries and co-routines
};

}  // namespace

double PricePlan(std::vector<PlanNode>* plan, const PricedStatement& statement,
                 const IndexShapes& indexes) {
    return Pricer(statement, indexes).Total(plan);
}

double PlanRows(std::vector<PlanNode>* plan, const PricedStatement& statement,
                const IndexShapes& indexes) {
    return Pricer(statement, indexes).Rows(plan);
}

}  // namespace upkeep::sqlite
