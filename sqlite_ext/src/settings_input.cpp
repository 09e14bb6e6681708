// SPDX-License-Identifier: PostgreSQL
#include "settings_input.h"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "index_inventory.h"
#include "stmt.h"
#include "upkeep/health/machine.h"

namespace upkeep::sqlite {

namespace {

struct Pragma {
    const char* name;
    const char* read_sql;  // none of them changes anything: no value is given
    const char* words;     // of the values 0, 1, …; NULL: the value as it is
};

constexpr Pragma kPragmas[] = {
    {"journal_mode", "PRAGMA main.journal_mode", nullptr},
    {"synchronous", "PRAGMA main.synchronous", "off|normal|full|extra"},
    {"busy_timeout", "PRAGMA busy_timeout", nullptr},
    {"foreign_keys", "PRAGMA foreign_keys", "off|on"},
    {"cache_size", "PRAGMA main.cache_size", nullptr},
    {"mmap_size", "PRAGMA main.mmap_size", nullptr},
    {"wal_autocheckpoint", "PRAGMA main.wal_autocheckpoint", nullptr},
    {"journal_size_limit", "PRAGMA main.journal_size_limit", nullptr},
};

/// Part number `at` of `words`, which are separated by `|`; `value` where there is none.
std::string WordAt(std::string_view words, int64_t at, const std::string& value) {
    for (; at > 0 && !words.empty(); --at) {
        const size_t end = words.find('|');
        words = end == std::string_view::npos ? std::string_view() : words.substr(end + 1);
    }
    return words.empty() || at < 0 ? value : std::string(words.substr(0, words.find('|')));
}

std::string ReadSmallFile(const std::string& path) {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

health::SettingsInput ReadSettingsInput(sqlite3* db) {
    health::SettingsInput input;
    input.host = Hosts::kSqlite;
    const health::Machine machine =
        health::DetectMachine(ReadSmallFile, sysconf(_SC_NPROCESSORS_ONLN));
    input.ram_bytes = machine.ram_bytes;
    input.ram_source = machine.ram_source;
    input.cpus = machine.cpus;
    input.cpu_source = machine.cpu_source;
    for (const Pragma& pragma : kPragmas) {
        Stmt value(db, pragma.read_sql);
        if (value.Step()) {  // mmap_size has no row for a database in memory
            const std::string text = Lower(value.Text(0));
            input.current[pragma.name].value =
                pragma.words == nullptr ? text : WordAt(pragma.words, value.Integer(0), text);
        }
    }
    const char* file = sqlite3_db_filename(db, "main");
    const bool has_file = file != nullptr && file[0] != '\0';
    input.database_bytes = has_file ? SchemaBytes(db, "main") : 0;
    int64_t tables = 0;
    int64_t analysed = 0;
    const Catalog catalog(db);
    for (const CatalogTable& table : catalog.tables()) {
        tables += IsUserTable(table) ? 1 : 0;
        analysed += IsUserTable(table) && AnalysedRows(db, table) ? 1 : 0;
    }
    input.evidence["optimize"] = std::to_string(analysed) + " of " + std::to_string(tables) +
                                 " tables have planner statistics";
    return input;
}

}  // namespace upkeep::sqlite
