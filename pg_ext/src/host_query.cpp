// SPDX-License-Identifier: PostgreSQL
#include "host_query.h"

#include <cstdlib>

#include "spi_select.h"

extern "C" {
#include "pgstat.h"
#include "utils/syscache.h"
}

namespace upkeep::pg {

namespace {

/// Until the nest level of settings ends: also on error, when the (sub)transaction that ends takes
/// the level with it.
void Set(const char* setting, const char* value) {
    set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

HostRows RunQuery(const char* sql, const SelectOptions& options) {
    const int level = NewGUCNestLevel();
    Set("search_path", "pg_catalog, pg_temp");
    const CellTable<char*> found = Select(sql, options, SPI_getvalue);
    AtEOXact_GUC(true, level);
    return {found.cells, found.rows, found.columns};
}

/// The arguments as SQL values of type text.
HostRows RunWithTexts(const char* sql, const char* const* arguments, int count) {
    auto* types = static_cast<Oid*>(palloc(sizeof(Oid) * (count + 1)));
    auto* values = static_cast<Datum*>(palloc(sizeof(Datum) * (count + 1)));
    for (int i = 0; i < count; ++i) {
        types[i] = TEXTOID;
        values[i] = CStringGetTextDatum(arguments[i]);
    }
    return RunQuery(sql, {.read_only = false, .count = count, .types = types, .values = values});
}

}  // namespace

std::optional<int64_t> HostRows::Integer(int row, int column) const {
    if (IsNull(row, column)) {
        return std::nullopt;
    }
    return std::strtoll(At(row, column), nullptr, 10);
}

std::optional<double> HostRows::Number(int row, int column) const {
    if (IsNull(row, column)) {
        return std::nullopt;
    }
    return std::strtod(At(row, column), nullptr);
}

HostRows Query(const char* sql) {
    return CallHost([sql] { return RunQuery(sql, {}); });
}

HostRows QueryOwnWork(const char* sql, const std::vector<std::string>& arguments) {
    std::vector<const char*> texts;
    for (const std::string& argument : arguments) {
        texts.push_back(argument.c_str());
    }
    const char* const* data = texts.data();
    const int count = static_cast<int>(texts.size());
    return CallHost([=] { return RunWithTexts(sql, data, count); });
}

Result<HostRows> TryQuery(const char* sql) {
    return InSubtransaction([sql] { return RunQuery(sql, {}); });
}

void LookAfresh() {
    CallHostVoid([] { pgstat_clear_backend_activity_snapshot(); });
}

void RunSql(const std::string& sql) {
    const char* text = sql.c_str();
    CallHostVoid([=] {
        ConnectSpi();
        const int code = SPI_execute(text, false, 0);
        if (code < 0) {
            elog(ERROR, "a statement failed: %s", SPI_result_code_string(code));
        }
        SPI_finish();
    });
}

Result<HostRows> TryOwnCall(const char* sql) {
    return InSubtransaction([sql] {
        const int level = NewGUCNestLevel();
        Set("client_min_messages", "warning");
        Set("lock_timeout", "1s");
        const CellTable<char*> found = Select(sql, {}, SPI_getvalue);
        AtEOXact_GUC(true, level);
        return HostRows{found.cells, found.rows, found.columns};
    });
}

bool IsVisible(Oid relation) {
    return CallHost([relation] {  // a relation that was dropped meanwhile would be an error
        return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation)) &&
               RelationIsVisible(relation);
    });
}

}  // namespace upkeep::pg
