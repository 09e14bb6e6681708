// The rows of the call n_plus_one, and what each finding asks its reader to do.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <span>

#include "upkeep/base/table_function.h"
#include "upkeep/capture/finding_table.h"
#include "upkeep/capture/normalize.h"

namespace upkeep::capture {

/// A finding as one reader sees it.
struct FindingView {
    FindingSnapshot finding;
    Value database_name;
    std::string endpoint;  // empty: none
    std::string parent_query;
    std::string child_query;
    bool is_visible = true;  // false: texts, fingerprints, endpoint and advice are hidden
};

/// The longest first.
void FindingRows(std::span<const FindingView> findings, SqlDialect dialect, RowSink& rows);

/// One sentence that names the tables and the column.
std::string SuggestionFor(const FindingView& view, SqlDialect dialect);

}  // namespace upkeep::capture
