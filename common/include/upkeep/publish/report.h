// report(): one page about the database, from the rows of our own calls.
//
//   own calls ─▶ ReportModel (titles, tables, notes) ─▶ text
//
// Every table has its bound; what is left out is counted and its call named.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/base/table_function.h"
#include "upkeep/publish/own_calls.h"

namespace upkeep::publish {

struct ReportColumn {
    std::string name;
    bool is_number = false;  // set to the right
};

/// One section. A table without rows is shown by its note alone.
struct ReportTable {
    std::string title;
    std::string note;                   // one sentence; empty: none
    std::vector<ReportColumn> columns;  // the last one may take several lines
    std::vector<std::vector<std::string>> rows;
    size_t left_out = 0;   // rows beyond the bound
    std::string see_call;  // where they are
};

struct ReportModel {
    std::string title;
    std::string subtitle;
    std::vector<ReportTable> tables;
};

struct ReportFacts {
    Hosts host = Hosts::kPostgres;
    std::string host_version;  // `PostgreSQL 15.14`
    std::string database;
    Timestamp now;
};

/// Only `text` in this version. Errors: kUnsupported for html and json, kInvalidArgument for
/// others.
Result<void> CheckReportFormat(const Arguments& arguments);

ReportModel BuildReport(const Arguments& arguments, const ReportFacts& facts, OwnCalls& calls);

/// At most kReportWidth characters a line; control characters and marks of direction are spaces.
std::string ReportText(const ReportModel& model);
inline constexpr size_t kReportWidth = 100;

}  // namespace upkeep::publish
