// SPDX-License-Identifier: PostgreSQL
#include "price_terms.h"

#include <algorithm>

namespace upkeep::sqlite {

namespace {

// Without a value: share of rows that a pattern or <> lets through.
constexpr double kPatternShare = 0.2, kUnequalShare = 0.9;
// Fewer sampled rows than this say little about a combination of conditions.
constexpr double kFewRows = 5;

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

}  // namespace

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

PricedMention PriceMention(const Mention& mention, const std::vector<CatalogColumn>& columns,
                           Statistics* statistics, const TextFacts& text) {
    PricedMention priced;
    priced.alias = Lower(mention.alias);
    priced.table = Lower(mention.table);
    priced.statistics = statistics;
    priced.columns = columns;
    priced.group = mention.group;
    priced.order = mention.order;
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

}  // namespace upkeep::sqlite
