// SPDX-License-Identifier: PostgreSQL
#include "index_expected.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "what_if.h"

namespace upkeep::pg {

namespace {

constexpr int64_t kMinBytes = 1 << 20;
constexpr size_t kMostIndexes = 200;
constexpr double kFillfactor = 90;  // the B-tree's own, which the estimate has

/// Of a definition's WITH (fillfactor='50').
double FillfactorOf(const std::string& create_sql) {
    static constexpr std::string_view kOption = "fillfactor='";
    const size_t at = create_sql.find(kOption);
    const double given = at == std::string::npos
                             ? 0
                             : std::strtod(create_sql.c_str() + at + kOption.size(), nullptr);
    return given >= 10 && given <= 100 ? given : kFillfactor;
}

}  // namespace

void AddExpectedSizes(health::IndexInventory* inventory) {
    std::vector<health::IndexDescription*> large;
    for (health::IndexDescription& index : inventory->indexes) {
        if (index.is_valid && index.access_method == "btree" && !index.rebuild_sql.empty() &&
            index.size_bytes.value_or(0) >= kMinBytes) {
            large.push_back(&index);
        }
    }
    std::stable_sort(large.begin(), large.end(), [](const auto* one, const auto* other) {
        return *one->size_bytes > *other->size_bytes;
    });
    large.resize(std::min(large.size(), kMostIndexes));
    const auto port = MakeWhatIf();
    for (health::IndexDescription* index : large) {
        std::string first = index->create_sql.substr(0, index->create_sql.find(";\n"));
        static constexpr std::string_view kWords = "INDEX CONCURRENTLY ";
        if (const size_t at = first.find(kWords); at != std::string::npos) {
            first.insert(at + kWords.size(), "IF NOT EXISTS ");  // the name is taken, of course
        }
        const Result<advisor::IndexId> declared = port->DeclareSql(first);
        if (declared.ok()) {
            index->expected_bytes =
                port->SizeBytes(declared.value()) * kFillfactor / FillfactorOf(first);
        }
    }
}

}  // namespace upkeep::pg
