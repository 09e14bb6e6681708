// SPDX-License-Identifier: PostgreSQL
#include "reason.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "candidates_kinds.h"
#include "match.h"

namespace upkeep::advisor {

namespace {

constexpr size_t kMaxClauses = 3;      // different uses that a reason tells
constexpr size_t kMaxSlowerLines = 5;  // statements that a row's warnings tell one by one
constexpr double kSmallTableRows = 1000;
constexpr size_t kManyIndexes = 8;
constexpr double kSlowerRatio = 1.05;  // design §4
constexpr double kMostTimes = 10;      // beyond that costs are told instead of a share

std::string Plural(size_t count, const std::string& noun) {
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string TwoDigits(double cost) {
    std::array<char, 64> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), cost,
                                   std::chars_format::fixed, 2);
    return end.ec == std::errc() ? std::string(buffer.data(), end.ptr) : "more";
}

std::string OrderText(const WhatIf& port, const Relation& relation, const Match& match) {
    std::string text;
    for (const SortKey* key : match.order) {
        text += (text.empty() ? "" : ", ") +
                port.Quote(relation.columns[static_cast<size_t>(key->column)].name) +
                (key->descending ? " desc" : "");
    }
    return "order by " + text;
}

std::string GroupText(const WhatIf& port, const Relation& relation, const Match& match) {
    std::string text;
    for (const int column : match.group) {
        text += (text.empty() ? "" : ", ") +
                port.Quote(relation.columns[static_cast<size_t>(column)].name);
    }
    return "group by " + text;
}

std::string ClauseText(const WhatIf& port, const Relation& relation, const Match& match) {
    std::string text;
    auto add_predicate = [&](const Predicate& predicate) {
        text += text.empty() ? "" : " and ";
        text += predicate.text.empty()
                    ? port.Quote(relation.columns[static_cast<size_t>(predicate.column)].name)
                    : predicate.text;
    };
    for (const Predicate* predicate : match.equal) {
        add_predicate(*predicate);
    }
    if (match.range != nullptr) {
        add_predicate(*match.range);
    }
    const std::string then = text.empty() ? "" : ", then ";
    if (!match.order.empty()) {
        text += then + OrderText(port, relation, match);
    } else if (!match.group.empty()) {
        text += then + GroupText(port, relation, match);
    }
    return text;
}

/// The statement's best use of the index, in words; empty where the index serves none.
std::string BestClause(const WhatIf& port, const IndexSpec& spec, const Statement& statement) {
    const Relation& relation = port.relation(spec.relation);
    std::string best;
    size_t best_parts = 0;
    for (const RelationUse& use : statement.uses) {
        const Match match = MatchUse(spec, relation, use, port.dialect().has_nulls_order);
        const std::string other =
            IsOfOtherKind(spec) && ConcernsOtherKind(spec, use) ? OtherKindText(spec, use) : "";
        const size_t parts = match.equal.size() + (match.range != nullptr ? 1 : 0) +
                             match.order.size() + match.group.size() + (other.empty() ? 0 : 1);
        if (parts > best_parts) {
            const std::string clause = ClauseText(port, relation, match);
            const bool is_order = match.equal.empty() && match.range == nullptr;
            best = other +
                   (other.empty() || clause.empty() ? ""
                    : is_order                      ? ", then "
                                                    : " and ") +
                   clause;
            best_parts = parts;
        }
    }
    return best;
}

std::string StatementName(const Workload& workload, const WorkloadItem& item) {
    return workload.is_numbered ? "statement " + std::to_string(item.number) : "the statement";
}

/// Names of the columns that the statistics say nothing of.
std::string UnknownColumns(const WhatIf& port, const IndexSpec& spec) {
    const Relation& relation = port.relation(spec.relation);
    std::string names;
    for (const IndexKey& key : spec.keys) {
        if (key.column >= 0) {
            const ColumnFacts& column = relation.columns[static_cast<size_t>(key.column)];
            if (column.distinct_count <= 0) {
                names += (names.empty() ? "" : ", ") + port.Quote(column.name);
            }
        }
    }
    return names;
}

std::string StatementNames(const Workload& workload, const std::vector<size_t>& items) {
    std::string names;
    for (size_t i = 0; i < std::min(items.size(), kMaxClauses); ++i) {
        names += (names.empty() ? "" : ", ") + StatementName(workload, workload.items[items[i]]);
    }
    return names + (items.size() > kMaxClauses ? " and others" : "");
}

std::vector<std::string> RiskWarnings(const Workload& workload, const PricedIndex& row) {
    std::vector<std::string> warnings;
    if (!row.checks.empty()) {
        warnings.push_back("foreign keys look up by it what rows taken away by " +
                           StatementNames(workload, row.checks) +
                           " leave behind: counted in the choice, not in any cost shown, as "
                           "EXPLAIN leaves it out");
    } else if (row.is_for_risk) {
        warnings.emplace_back(
            "by the planner's prices alone it saves too little: without it a walk along another "
            "index is hoped to meet its LIMIT early, and may not");
    }
    if (row.is_for_elsewhere) {
        warnings.emplace_back(
            "with the statistics as they are it saves too little: it is here for after ANALYZE");
    }
    if (!row.risky.empty()) {
        warnings.push_back("the price of " + StatementNames(workload, row.risky) +
                           " hopes to meet a LIMIT early in a walk along it: slower where the "
                           "matching rows are at its end");
    }
    return warnings;
}

}  // namespace

std::string ReasonText(const WhatIf& port, const Workload& workload, const IndexSpec& spec,
                       const std::vector<size_t>& served) {
    std::vector<std::pair<std::string, size_t>> clauses;
    for (const size_t item : served) {
        const std::string clause = BestClause(port, spec, workload.items[item].statement);
        if (clause.empty()) {
            continue;
        }
        const auto known = std::find_if(clauses.begin(), clauses.end(),
                                        [&](const auto& c) { return c.first == clause; });
        if (known != clauses.end()) {
            ++known->second;
        } else {
            clauses.emplace_back(clause, 1);
        }
    }
    std::string reason;
    for (size_t i = 0; i < std::min(clauses.size(), kMaxClauses); ++i) {
        reason += clauses[i].first;
        reason += clauses.size() > 1 ? " (" + Plural(clauses[i].second, "statement") + "); " : "; ";
    }
    if (clauses.size() > kMaxClauses) {
        reason += Plural(clauses.size() - kMaxClauses, "more use") + "; ";
    }
    std::set<size_t> statements;  // and their checks are no others
    for (const size_t item : served) {
        statements.insert(workload.items[item].number);
    }
    return reason + "used by " + Plural(statements.size(), "statement");
}

std::vector<int64_t> ServedFingerprints(const Workload& workload,
                                        const std::vector<size_t>& served) {
    std::vector<int64_t> fingerprints;
    std::set<int64_t> seen;
    for (const size_t item : served) {
        for (const int64_t fingerprint : workload.items[item].fingerprints) {
            if (seen.insert(fingerprint).second) {
                fingerprints.push_back(fingerprint);
            }
        }
    }
    return fingerprints;
}

std::vector<std::string> RowWarnings(const WhatIf& port, const Workload& workload,
                                     const IndexSpec& spec, const PricedIndex& row,
                                     size_t proposed) {
    const Relation& relation = port.relation(spec.relation);
    std::vector<std::string> warnings;
    if (row.needs_others) {
        warnings.emplace_back("saves its worth only together with the rows after it");
    }
    for (std::string& line : RiskWarnings(workload, row)) {
        warnings.push_back(std::move(line));
    }
    if (relation.rows < kSmallTableRows) {
        warnings.push_back("table is small (about " +
                           Plural(static_cast<size_t>(std::max(relation.rows, 0.0)), "row") +
                           "): the gain may not be noticeable yet");
    }
    if (relation.indexes.size() + proposed > kManyIndexes) {
        warnings.push_back("table would have " +
                           std::to_string(relation.indexes.size() + proposed) +
                           " indexes: every write maintains them all");
    }
    if (const std::string names = UnknownColumns(port, spec); !names.empty()) {
        warnings.push_back("no statistics for " + names + ": run ANALYZE and ask again");
    }
    for (std::string& line : OtherKindWarnings(relation, spec)) {
        warnings.push_back(std::move(line));
    }
    const bool is_generic = std::any_of(row.served.begin(), row.served.end(), [&](size_t item) {
        return workload.items[item].statement.is_generic;
    });
    if (is_generic) {
        warnings.emplace_back(
            "estimated for parameters without values: rare and frequent values may differ");
    }
    return warnings;
}

std::vector<std::vector<std::string>> SlowerWarnings(const Workload& workload,
                                                     const std::vector<PricedIndex>& rows) {
    struct Course {
        double change = 0;        // weighted, by the whole set
        double worst_change = 0;  // … by the row that adds most
        size_t worst_row = 0;
    };
    std::map<size_t, Course> courses;
    for (size_t k = 0; k < rows.size(); ++k) {
        for (const ItemChange& change : rows[k].changes) {
            Course& course = courses[change.item];
            const double more = change.after - change.before;
            course.change += more;
            if (more > course.worst_change) {
                course.worst_change = more;
                course.worst_row = k;
            }
        }
    }
    std::vector<std::vector<std::string>> lines(rows.size());
    std::vector<size_t> untold(rows.size(), 0);
    for (const auto& [index, course] : courses) {
        const WorkloadItem& item = workload.items[index];
        const double before = item.weight * item.baseline_cost;
        const double after = before + course.change;
        if (after <= kSlowerRatio * before || course.worst_change <= 0) {
            continue;
        }
        if (lines[course.worst_row].size() >= kMaxSlowerLines) {
            ++untold[course.worst_row];
            continue;
        }
        std::string line = "makes " + StatementName(workload, item) + " (fingerprint " +
                           std::to_string(item.fingerprints.front()) + ") slower";
        // Of a write the planner prices next to nothing, and a share of that would frighten.
        if (before > 0 && after <= kMostTimes * before) {
            line += " by " + std::to_string(std::llround((after / before - 1) * 100)) + " %";
        } else if (before > 0) {
            line += ": costs " + TwoDigits(item.baseline_cost * after / before) +
                    " each time instead of " + TwoDigits(item.baseline_cost);
        }
        lines[course.worst_row].push_back(std::move(line));
    }
    for (size_t k = 0; k < rows.size(); ++k) {
        if (untold[k] > 0) {
            lines[k].push_back("makes " + Plural(untold[k], "more statement") + " slower");
        }
    }
    return lines;
}

}  // namespace upkeep::advisor
