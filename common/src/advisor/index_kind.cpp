// SPDX-License-Identifier: PostgreSQL
#include "index_kind.h"

#include <array>
#include <utility>

namespace upkeep::advisor {

namespace {

constexpr std::array<std::pair<IndexKind, std::string_view>, 7> kKindNames = {{
    {IndexKind::kBtree, "btree"},
    {IndexKind::kCovering, "covering"},
    {IndexKind::kPartial, "partial"},
    {IndexKind::kExpression, "expression"},
    {IndexKind::kGin, "gin"},
    {IndexKind::kBrin, "brin"},
    {IndexKind::kTrigram, "trigram"},
}};

}  // namespace

std::string_view KindName(IndexKind kind) {
    for (const auto& [known, name] : kKindNames) {
        if (known == kind) {
            return name;
        }
    }
    return "unknown";
}

std::optional<IndexKind> ParseKind(std::string_view name) {
    for (const auto& [kind, known] : kKindNames) {
        if (known == name) {
            return kind;
        }
    }
    return std::nullopt;
}

std::span<const IndexKind> AllKinds() {
    static constexpr IndexKind kAll[] = {
        IndexKind::kBtree, IndexKind::kCovering, IndexKind::kPartial, IndexKind::kExpression,
        IndexKind::kGin,   IndexKind::kBrin,     IndexKind::kTrigram};
    return kAll;
}

}  // namespace upkeep::advisor
