// Where a session's findings of repeated reads go: the shared store, and what its texts tell of a
// suspected child. SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/capture/n_plus_one.h"
#include "upkeep/capture/normalize.h"
#include "upkeep/capture/store.h"

namespace upkeep::capture {

/// Of a statement's text: does it read the application's tables, a page, a list of values?
ChildText DescribeChild(std::string_view text, SqlDialect dialect);

/// Does the text ask for the first page, OFFSET 0? Some writers end each statement with a LIMIT so.
bool HasZeroOffset(std::string_view text, SqlDialect dialect);

/// Of `DECLARE … CURSOR … FOR query`: the query; empty where there is none.
std::string_view QueryOfCursor(std::string_view declare, SqlDialect dialect);

class StoreFindings final : public FindingPort {
  public:
    /// `running`: the statement under way with the values in it; empty where only its shape is
    /// known.
    StoreFindings(Store& store, uint32_t database, SqlDialect dialect,
                  std::string_view running = {})
        : store_(store), database_(database), dialect_(dialect), running_(running) {}

    /// A text that is not kept reads nothing: nobody could be shown what to mend.
    ChildText TextOf(const Finished& child) override;
    void Add(const FindingKey& key, const FindingTotals& totals) override;
    void TakeBack(const FindingKey& key, const FindingTotals& totals) override;

  private:
    Store& store_;
    uint32_t database_;
    SqlDialect dialect_;
    std::string_view running_;
};

}  // namespace upkeep::capture
