// Where a session's findings of repeated reads go: the shared store, and what its texts tell of a
// suspected child. SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/capture/n_plus_one.h"
#include "upkeep/capture/normalize.h"
#include "upkeep/capture/store.h"

namespace upkeep::capture {

/// Of a statement's text: does it read the application's tables, a page, a list of values?
ChildText DescribeChild(std::string_view text, SqlDialect dialect);

/// Of `DECLARE … CURSOR … FOR query`: the query; empty where there is none.
std::string_view QueryOfCursor(std::string_view declare, SqlDialect dialect);

class StoreFindings final : public FindingPort {
  public:
    StoreFindings(Store& store, uint32_t database, SqlDialect dialect)
        : store_(store), database_(database), dialect_(dialect) {}

    /// A text that is not kept reads nothing: nobody could be shown what to mend.
    ChildText TextOf(const Finished& child) override;
    void Add(const FindingKey& key, const FindingTotals& totals) override;
    void TakeBack(const FindingKey& key, const FindingTotals& totals) override;

  private:
    Store& store_;
    uint32_t database_;
    SqlDialect dialect_;
};

}  // namespace upkeep::capture
