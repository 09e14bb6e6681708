// SPDX-License-Identifier: PostgreSQL
#include "statistics.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace upkeep::sqlite {

namespace {

// Estimates this close to the number of rows mean unique. Source: measured, sqlite-notes 2.3
constexpr double kUniqueRatio = 0.97;
// What a skip-scan may look better by than by independent keys: planners turn on little.
constexpr double kSkipMargin = 0.5;
// A value that fills this share of the sample, and so many rows, is frequent.
constexpr double kFrequentRatio = 0.1, kFrequentRows = 20;
// Header of a leaf and of an interior page, cell pointer, child pointer; bytes.
constexpr double kLeafHeader = 8, kInteriorHeader = 12, kCellPointer = 2, kChildPointer = 4;

/// Bytes that a payload takes in the B-tree page itself; the rest goes to overflow pages.
/// Source: sqlite.org/fileformat2.html#cell_payload_overflow_pages
double LocalBytes(double payload, double page, bool is_table) {
    const double largest = is_table ? page - 35 : std::floor((page - 12) * 64 / 255) - 23;
    if (payload <= largest) {
        return payload;
    }
    const double smallest = std::floor((page - 12) * 32 / 255) - 23;
    const double rest = smallest + std::fmod(payload - smallest, page - 4);
    return (rest <= largest ? rest : smallest) + 4;  // and the number of the first overflow page
}

double OverflowPages(double payload, double page, bool is_table) {
    const double local = LocalBytes(payload, page, is_table);
    return local == payload ? 0 : std::ceil((payload - (local - 4)) / (page - 4));
}

/// Distinct values among `total` rows, of which `sampled` show the values so many times.
/// Source: Haas and Stokes 1998; values that fill a tenth of the sample (NULL above all) are known,
/// and the estimate is of the rest: without that they hide how rare the others are.
double EstimateDistinct(const std::vector<int32_t>& counts, double sampled, double total) {
    double known = 0, distinct = 0, once = 0, rest = sampled;
    const double frequent = std::max(kFrequentRatio * sampled, kFrequentRows);
    for (const int32_t count : counts) {
        if (count >= frequent) {
            known += 1;
            rest -= count;
        } else if (count > 0) {
            distinct += 1;
            once += count == 1 ? 1 : 0;
        }
    }
    if (sampled >= total) {
        return (known + distinct) * total / sampled;
    }
    if (distinct == 0) {
        return known;
    }
    const double rest_total = total * rest / sampled;
    return known + rest * distinct / (rest - once + once * rest / rest_total);
}

/// Levels above `leaves`, their pages added to `size`.
void AddInterior(double fanout, double page, TreeSize* size) {
    double pages = size->leaf_pages;
    while (pages > 1) {
        pages = std::ceil(pages / std::max(fanout, 2.0));
        size->bytes += pages * page;
        size->height += 1;
    }
}

/// An index or WITHOUT ROWID tree of `rows` records. Interior pages hold records too.
TreeSize IndexTree(double rows, double payload, double page) {
    TreeSize size;
    const double local = LocalBytes(payload, page, false);
    const double cell = std::max(4.0, VarintBytes(payload) + local) + kCellPointer;
    size.rows_per_leaf = std::max(1.0, std::floor((page - kLeafHeader) / cell));
    size.leaf_pages = std::max(1.0, std::ceil((rows + 1) / (size.rows_per_leaf + 1)));
    size.bytes = size.leaf_pages * page + rows * OverflowPages(payload, page, false) * page;
    AddInterior(std::floor((page - kInteriorHeader) / (cell + kChildPointer)) + 1, page, &size);
    return size;
}

TreeSize TableTree(double rows, double payload, double rowid_bytes, double page) {
    TreeSize size;
    const double local = LocalBytes(payload, page, true);
    const double cell = VarintBytes(payload) + rowid_bytes + local + kCellPointer;
    size.rows_per_leaf = std::max(1.0, (page - kLeafHeader) / cell - 0.5);
    size.leaf_pages = std::max(1.0, std::ceil(rows / size.rows_per_leaf));
    size.bytes = size.leaf_pages * page + rows * OverflowPages(payload, page, true) * page;
    AddInterior((page - kInteriorHeader) / (kChildPointer + kCellPointer + rowid_bytes), page,
                &size);
    return size;
}

}  // namespace

const std::vector<int32_t>& Statistics::PrefixClasses(const std::vector<KeyExpression>& keys) {
    std::set<std::string> names;
    for (const KeyExpression& key : keys) {
        names.insert(key.sql + '\0' + Lower(key.collation) + '\0');
    }
    std::string id;
    for (const std::string& name : names) {
        id += name;
    }
    const auto known = prefixes_.find(id);
    if (known != prefixes_.end()) {
        return known->second;
    }
    std::vector<int32_t> classes = sample_.Classes(keys.back().sql, keys.back().collation);
    if (keys.size() > 1 && !classes.empty()) {
        const std::vector<int32_t>& head =
            PrefixClasses(std::vector<KeyExpression>(keys.begin(), keys.end() - 1));
        std::map<std::pair<int32_t, int32_t>, int32_t> numbers;
        for (size_t i = 0; i < classes.size() && i < head.size(); ++i) {
            classes[i] = numbers
                             .emplace(std::make_pair(head[i], classes[i]),
                                      static_cast<int32_t>(numbers.size()))
                             .first->second;
        }
        classes.resize(std::min(classes.size(), head.size()));
    }
    return prefixes_.emplace(id, std::move(classes)).first->second;
}

double Statistics::Distinct(const std::vector<KeyExpression>& keys, const RowSet& rows) {
    const std::vector<int32_t>& classes = PrefixClasses(keys);
    std::vector<int32_t> counts(classes.size(), 0);
    double sampled = 0;
    for (size_t i = 0; i < classes.size(); ++i) {
        if (rows.empty() || (i < rows.size() && rows[i] != 0)) {
            ++counts[static_cast<size_t>(classes[i])];
            ++sampled;
        }
    }
    const double n = static_cast<double>(sample_.sampled_rows());
    const double total = rows.empty() || n == 0 ? this->rows() : this->rows() * sampled / n;
    if (sampled == 0) {
        return std::max(1.0, total);
    }
    const double estimate = EstimateDistinct(counts, sampled, total);
    return estimate >= kUniqueRatio * total ? total : std::clamp(estimate, 1.0, total);
}

double Statistics::DistinctColumn(int column) {
    const double all = Distinct({{sample_.ColumnSql(column), "BINARY", column}});
    const bool has_nulls = column >= 0 && sample_.NullRatio(column) > 0;
    return std::max(1.0, all - (has_nulls ? 1 : 0));
}

double Statistics::Share(const RowSet& rows) const {
    if (rows.empty()) {
        return 1;
    }
    const double hits = static_cast<double>(std::count(rows.begin(), rows.end(), 1));
    const double n = static_cast<double>(rows.size());
    return n >= this->rows() ? hits / n : std::max(hits, 0.5) / n;
}

const RowSet& Statistics::PartialRows(const std::string& predicate) {
    const auto [place, is_new] = partial_.try_emplace(predicate, RowSet());
    if (is_new && !predicate.empty()) {
        place->second = sample_.Matching(predicate, nullptr);
    }
    return place->second;
}

double Statistics::IndexRows(const IndexShape& index) {
    return std::max(0.0, std::round(rows() * Share(PartialRows(index.predicate))));
}

std::string Statistics::Stat1(const IndexShape& index, double table_rows, bool is_independent) {
    const RowSet& rows = PartialRows(index.predicate);
    const double found_rows = IndexRows(index);
    if (table_rows <= 0 || (found_rows == 0 && sample_.IsWhole())) {
        return "";
    }
    const double scale = this->rows() > 0 ? table_rows / this->rows() : 1;
    const double total = std::max(1.0, std::round(found_rows * scale));
    std::string stat = std::to_string(static_cast<int64_t>(total));
    double smallest = 1;
    std::vector<KeyExpression> prefix;
    double product = 1;
    for (size_t i = 0; i < index.keys.size(); ++i) {
        prefix.push_back(index.keys[i]);
        product *= is_independent ? Distinct({index.keys[i]}, rows) : 1;
        const double found =
            is_independent ? std::min(product, found_rows) : Distinct(prefix, rows);
        const bool is_whole = index.is_unique && i + 1 == index.keys.size();
        // What is unique in the sampled table is unique in the one the statistics speak of.
        const bool is_unique = is_whole || found >= kUniqueRatio * found_rows;
        double distinct = is_unique ? total : std::min(found, total);
        distinct = std::max(distinct, smallest);
        smallest = distinct;
        // Source: statGet() of ANALYZE: rounded up, but 2 becomes 1 where that is nearer the truth.
        double average = std::ceil(total / std::round(distinct));
        if (average == 2 && total * 10 <= distinct * 11) {
            average = 1;
        }
        if (is_independent && i > 0) {
            average = std::ceil(average * kSkipMargin);
        }
        stat += " " + std::to_string(static_cast<int64_t>(average));
    }
    return stat;
}

TreeSize Statistics::IndexSize(const IndexShape& index) {
    const RowSet& rows = PartialRows(index.predicate);
    double payload = 0;
    double fields = static_cast<double>(index.keys.size()) + 1;
    for (const KeyExpression& key : index.keys) {
        payload += key.column >= 0 && index.predicate.empty()
                       ? sample_.ColumnBytes(key.column)
                       : sample_.ExpressionBytes(key.sql, rows);
    }
    payload += is_without_rowid_ ? primary_key_bytes_ : sample_.RowidBytes();
    payload += VarintBytes(fields);
    return IndexTree(IndexRows(index), payload, page_bytes_);
}

TreeSize Statistics::TableSize() const {
    if (is_without_rowid_) {
        return IndexTree(rows(), sample_.RowBytes(), page_bytes_);
    }
    const double rowid = VarintBytes(std::max(1.0, rows()));
    return TableTree(rows(), sample_.RowBytes(), rowid, page_bytes_);
}

}  // namespace upkeep::sqlite
