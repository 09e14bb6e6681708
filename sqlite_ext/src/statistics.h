// Statistics estimated from a sample, as ANALYZE would find them: distinct prefixes, rows of
// sqlite_stat1, sizes of tables and of indexes that do not exist.
// Not for: the database's own statistics (replica.h copies those as they are).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sample.h"

namespace upkeep::sqlite {

/// One key of an index as an SQL expression over the table's columns.
struct KeyExpression {
    std::string sql;
    std::string collation = "BINARY";
    int column = -2;  // position, -1 rowid, -2 an expression
};

struct IndexShape {
    std::vector<KeyExpression> keys;
    std::string predicate;  // of a partial index; empty: the whole table
    bool is_unique = false;
};

/// A B-tree as pages. Source: sqlite.org/fileformat2.html#b_tree_pages
struct TreeSize {
    double bytes = 0;
    double leaf_pages = 1;
    double height = 1;  // pages from the root to a leaf, both counted
    double rows_per_leaf = 1;
};

class Statistics {
  public:
    Statistics(Sample sample, bool is_without_rowid, double page_bytes, double primary_key_bytes)
        : sample_(std::move(sample)),
          is_without_rowid_(is_without_rowid),
          page_bytes_(page_bytes),
          primary_key_bytes_(primary_key_bytes) {}

    Sample& sample() { return sample_; }
    double rows() const { return sample_.table_rows(); }

    /// Distinct values of the keys together, among the rows of `rows` (empty: all), in the table.
    /// Source: Haas and Stokes 1998, the estimator that PostgreSQL's ANALYZE uses.
    double Distinct(const std::vector<KeyExpression>& keys, const RowSet& rows = {});

    /// The same for one column, NULLs not counted.
    double DistinctColumn(int column);

    /// Rows of `rows` as a share of the sample, never exactly 0 (unseen is not impossible).
    double Share(const RowSet& rows) const;

    /// Rows in the index.
    double IndexRows(const IndexShape& index);
    /// Its row for sqlite_stat1 as ANALYZE would write it, if the table had `table_rows`; empty
    /// where ANALYZE writes none, for an index without rows.
    std::string Stat1(const IndexShape& index, double table_rows) {
        return Stat1(index, table_rows, /*is_independent=*/false);
    }
    /// The same if its keys had nothing to do with each other: what a skip-scan looks best with.
    /// (Planners differ about one where the truth is near the edge: it has to be seen coming.)
    std::string BestStat1(const IndexShape& index, double table_rows) {
        return Stat1(index, table_rows, /*is_independent=*/true);
    }

    TreeSize IndexSize(const IndexShape& index);
    TreeSize TableSize() const;

    const RowSet& PartialRows(const std::string& predicate);

  private:
    std::string Stat1(const IndexShape& index, double table_rows, bool is_independent);
    const std::vector<int32_t>& PrefixClasses(const std::vector<KeyExpression>& keys);

    Sample sample_;
    bool is_without_rowid_;
    double page_bytes_;
    double primary_key_bytes_;
    std::map<std::string, std::vector<int32_t>> prefixes_;  // by the keys, in any order
    std::map<std::string, RowSet> partial_;
};

}  // namespace upkeep::sqlite
