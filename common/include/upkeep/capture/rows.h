// The rows of the capture calls, made from plain copies: both hosts, and the state file, hand in
// views and get the same rows. What a reader may not see is decided by the host, hidden here.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <span>

#include "upkeep/base/table_function.h"
#include "upkeep/capture/finding_rows.h"
#include "upkeep/capture/slow_ring.h"
#include "upkeep/capture/statement_table.h"

namespace upkeep::capture {

inline constexpr std::string_view kHidden = "<insufficient privilege>";

/// A statement as one reader sees it.
struct StatementView {
    StatementSnapshot counts;
    Value database_name;
    Value user_name;
    std::string endpoint;  // empty: none
    std::string query;
    bool is_visible = true;  // false: text, tables, endpoint and fingerprint are hidden
};

struct SlowView {
    SlowStatement statement;
    Value database_name;
    Value user_name;
    std::string endpoint;
    std::string query;  // whole text or head
    bool is_visible = true;
};

/// Columns that this host fills; the others are NULL.
struct FilledColumns {
    bool planning = true;
    bool blocks = true;
    bool temp = true;
    bool wal = true;
    bool scans = true;
};

/// By total time, longest first.
void StatementRows(std::span<const StatementView> statements, const FilledColumns& filled,
                   RowSink& rows);
/// In the order given (a SlowRing reads newest first).
void SlowRows(std::span<const SlowView> statements, const FilledColumns& filled, RowSink& rows);
/// One row per (endpoint, database), by total time; without an endpoint: NULL. `findings` is what
/// n_plus_one shows; nullopt: nobody looks for them.
void EndpointRows(std::span<const StatementView> statements,
                  std::optional<std::span<const FindingView>> findings, RowSink& rows);

/// percentile(): over all visible views of the fingerprint (and endpoint, unless NULL), in ms; NULL
/// if there are no durations. Errors: kInvalidArgument for q outside 0..1.
Result<Value> Percentile(std::span<const StatementView> statements, const Arguments& arguments);

/// The q-quantile of a snapshot in ms, never outside its minimum and maximum; NULL without calls.
Value QuantileMs(const StatementSnapshot& counts, double q);

}  // namespace upkeep::capture
