// The two profiles' lists, each in a file of its own.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/workflow/schema.h"

namespace upkeep::workflow {

const SchemaProfile& CorrectedProfile();
const SchemaProfile& GuideProfile();

// Columns in the fewest words: Varchar("name", 255), Nullable(Json("result")).
constexpr SchemaColumn Id() {
    return {"id", ColumnKind::kUuid, 0, false, "uuid"};
}
constexpr SchemaColumn Uuid(std::string_view name) {
    return {name, ColumnKind::kUuid};
}
constexpr SchemaColumn Varchar(std::string_view name, int width, std::string_view initial = {}) {
    return {name, ColumnKind::kVarchar, width, false, initial};
}
constexpr SchemaColumn Text(std::string_view name) {
    return {name, ColumnKind::kText};
}
constexpr SchemaColumn Json(std::string_view name, std::string_view initial = {}) {
    return {name, ColumnKind::kJson, 0, false, initial};
}
constexpr SchemaColumn Time(std::string_view name, std::string_view initial = {}) {
    return {name, ColumnKind::kTime, 0, false, initial};
}
constexpr SchemaColumn Integer(std::string_view name, std::string_view initial = {}) {
    return {name, ColumnKind::kInteger, 0, false, initial};
}
constexpr SchemaColumn Bool(std::string_view name, std::string_view initial) {
    return {name, ColumnKind::kBool, 0, false, initial};
}
constexpr SchemaColumn Nullable(SchemaColumn column) {
    column.is_nullable = true;
    return column;
}

constexpr SchemaRule Unique(std::string_view columns) {
    return {RuleKind::kUnique, columns};
}
constexpr SchemaRule Cascading(std::string_view column, std::string_view table) {
    return {RuleKind::kReference, column, table, true};
}
constexpr SchemaRule Referring(std::string_view column, std::string_view table) {
    return {RuleKind::kReference, column, table};
}
constexpr SchemaRule OneOf(std::string_view column, std::span<const std::string_view> values) {
    return {RuleKind::kOneOf, column, {}, false, values};
}

// Values that both profiles allow.
inline constexpr std::string_view kWorkflowStatuses[] = {"active", "inactive", "archived", "draft"};
inline constexpr std::string_view kExecutionStatuses[] = {"pending", "running", "completed",
                                                          "failed",  "timeout", "cancelled"};
inline constexpr std::string_view kLogLevels[] = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"};
inline constexpr std::string_view kEventStatuses[] = {"pending", "processing", "completed",
                                                      "failed", "ignored"};

}  // namespace upkeep::workflow
