// SPDX-License-Identifier: PostgreSQL
#include "index_expected.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "host_query.h"
#include "upkeep/health/index_findings.h"
#include "what_if.h"

namespace upkeep::pg {

namespace {

constexpr int64_t kMinBytes = 1 << 20;
constexpr size_t kMostIndexes = 200;
constexpr std::string_view kRebuild = "CONCURRENTLY ";  // and then the name
constexpr double kFillfactor = 90;                      // the B-tree's own, which the estimate has

/// Of a definition's WITH (fillfactor='50').
double FillfactorOf(const std::string& create_sql) {
    static constexpr std::string_view kOption = "fillfactor='";
    const size_t at = create_sql.find(kOption);
    const double given = at == std::string::npos
                             ? 0
                             : std::strtod(create_sql.c_str() + at + kOption.size(), nullptr);
    return given >= 10 && given <= 100 ? given : kFillfactor;
}

// Of pgstattuple's function, if the extension is there and the caller may call it.
constexpr const char* kMeter =
    "SELECT quote_ident(n.nspname) || '.pgstatindex' FROM pg_extension e JOIN pg_depend d"
    "  ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'"
    "   AND d.classid = 'pg_proc'::regclass"
    "  JOIN pg_proc p ON p.oid = d.objid JOIN pg_namespace n ON n.oid = p.pronamespace"
    " WHERE e.extname = 'pgstattuple' AND p.proname = 'pgstatindex'"
    "  AND p.proargtypes::text = 'regclass'::regtype::oid::text"
    "  AND has_function_privilege(p.oid, 'EXECUTE')";

// It reads the whole index: so much of them all in one call.
constexpr int64_t kMostMeasuredBytes = 256 << 20;

/// The index's qualified name as a string of SQL, whatever standard_conforming_strings says.
std::string NameLiteral(const health::IndexDescription& index) {
    std::string literal = "E'";
    for (const char c :
         index.rebuild_sql.substr(index.rebuild_sql.find(kRebuild) + kRebuild.size())) {
        literal += c == '\'' || c == '\\' ? std::string(2, c) : std::string(1, c);
    }
    return literal + "'";
}

void TakeMeasured(const HostRows& seen, health::IndexDescription* index) {
    const double density = seen.Number(0, 0).value_or(0);  // no number where there are no leaves
    if (density > 0 && density <= 100) {
        index->expected_bytes =
            static_cast<double>(*index->size_bytes) * density / FillfactorOf(index->create_sql);
        index->measured_by = "pgstattuple, by which its leaf pages are " +
                             std::to_string(std::lround(density)) + " % full";
    }
}

/// Of those that look bloated by the estimate the largest that the limit allows: what pgstattuple
/// sees in the pages takes the place of the estimate. What it cannot read keeps it.
void MeasureBloated(const std::vector<health::IndexDescription*>& large) {
    std::string meter;
    int64_t left = kMostMeasuredBytes;
    for (health::IndexDescription* index : large) {
        if (!health::IsBloated(*index) || *index->size_bytes > left) {
            continue;
        }
        if (meter.empty()) {
            const HostRows found = Query(kMeter);
            if (found.rows == 0) {
                return;
            }
            meter = found.Text(0, 0);
        }
        left -= *index->size_bytes;
        const Result<HostRows> seen = TryQuery(
            ("SELECT avg_leaf_density FROM " + meter + "(" + NameLiteral(*index) + "::regclass)")
                .c_str());
        if (seen.ok() && seen.value().rows == 1) {
            TakeMeasured(seen.value(), index);
        }
    }
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
    MeasureBloated(large);
}

}  // namespace upkeep::pg
