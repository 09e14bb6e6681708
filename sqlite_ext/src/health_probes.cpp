// SPDX-License-Identifier: PostgreSQL
#include "health_probes.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <string>

#include "index_inventory.h"
#include "stmt.h"

namespace upkeep::sqlite {

namespace {

using health::Observation;

// So little free space is not worth a VACUUM, whatever its share.
constexpr int64_t kFreeMinBytes = 1 << 20;
constexpr double kFreeRatio = 0.25;  // from here on auto_vacuum would help
constexpr int kMostViolations = 1000;
enum TableListColumn { kSchemaColumn = 0, kNameColumn = 1, kTypeColumn = 2, kStrictColumn = 5 };

std::string TextOf(sqlite3* db, const char* sql) {
    Stmt stmt(db, sql);
    return stmt.Step() ? Lower(stmt.Text(0)) : std::string();
}

int64_t NumberOf(sqlite3* db, const char* sql) {
    Stmt stmt(db, sql);
    return stmt.Step() ? stmt.Integer(0) : 0;
}

/// Empty: in memory, or a temporary file without a name.
std::string FileName(sqlite3* db) {
    const char* name = sqlite3_db_filename(db, "main");
    return name == nullptr ? std::string() : std::string(name);
}

std::string Percent(int64_t part, int64_t whole) {
    return std::to_string(whole == 0 ? 0 : 100 * part / whole) + " %";
}

Observation Seen(const char* code, std::string evidence) {
    Observation seen;
    seen.code = code;
    seen.evidence = std::move(evidence);
    return seen;
}

Observation Number(const char* code, int64_t number, std::string evidence) {
    Observation seen = Seen(code, std::move(evidence));
    seen.number = static_cast<double>(number);
    return seen;
}

Observation Word(const char* code, std::string word, std::string evidence) {
    Observation seen = Seen(code, std::move(evidence));
    seen.word = std::move(word);
    return seen;
}

Observation JournalMode(sqlite3* db) {
    const std::string mode = TextOf(db, "PRAGMA main.journal_mode");
    return Word("journal_mode", FileName(db).empty() ? "in memory" : mode,
                "journal_mode = " + mode + (FileName(db).empty() ? ", no file" : ""));
}

Observation Synchronous(sqlite3* db) {
    static constexpr const char* kWords[] = {"off", "normal", "full", "extra"};
    const int64_t level = NumberOf(db, "PRAGMA main.synchronous");
    const std::string word = level >= 0 && level <= 3 ? kWords[level] : "unknown";
    const std::string mode = TextOf(db, "PRAGMA main.journal_mode");
    const bool is_normal_wal = word == "normal" && mode == "wal";
    return Word("synchronous",
                FileName(db).empty() ? "in memory"
                : is_normal_wal      ? "normal with wal"
                                     : word,
                "synchronous = " + word + " with journal_mode = " + mode + ", on this connection");
}

Observation ForeignKeys(sqlite3* db, const health::IndexInventory& inventory) {
    const bool is_on = NumberOf(db, "PRAGMA foreign_keys") != 0;
    const size_t declared = inventory.foreign_keys.size();
    return Word("foreign_keys_enforced",
                is_on           ? "on"
                : declared == 0 ? "none declared"
                                : "off",
                "foreign_keys = " + std::string(is_on ? "on" : "off") + " on this connection, " +
                    std::to_string(declared) + " foreign keys declared");
}

Observation Violations(sqlite3* db) {
    const int64_t bytes = SchemaBytes(db, "main");
    Observation seen = Seen("foreign_key_violations", "");
    if (bytes > kMeasuredBytes) {
        seen.unknown_because = "the file has " + std::to_string(bytes >> 20) + " MB, more than " +
                               std::to_string(kMeasuredBytes >> 20) +
                               ": run PRAGMA foreign_key_check in a quiet hour";
        return seen;
    }
    Result<Stmt> check = Stmt::Prepare(db, "PRAGMA main.foreign_key_check");
    if (!check.ok()) {  // say, a parent table is missing
        seen.unknown_because = check.error().message();
        return seen;
    }
    std::map<std::string, int> by_table;
    int found = 0;
    while (found < kMostViolations && check.value().Step()) {
        ++by_table[std::string(check.value().Text(0))];
        ++found;
    }
    for (const auto& [table, rows] : by_table) {
        seen.objects.push_back(table + " (" + std::to_string(rows) + ")");
    }
    seen.number = found;
    seen.evidence = std::to_string(found) + (found == kMostViolations ? " or more" : "") +
                    " rows without their parent";
    return seen;
}

Observation Freelist(sqlite3* db, Observation* auto_vacuum) {
    const int64_t pages = NumberOf(db, "PRAGMA main.page_count");
    const int64_t free = NumberOf(db, "PRAGMA main.freelist_count");
    const int64_t free_bytes = free * NumberOf(db, "PRAGMA main.page_size");
    const bool is_small = free_bytes < kFreeMinBytes;
    Observation seen = Seen("freelist", std::to_string(free) + " of " + std::to_string(pages) +
                                            " pages are free, " + Percent(free, pages) +
                                            (is_small ? ", too few to matter" : ""));
    seen.number =
        is_small || pages == 0 ? 0 : static_cast<double>(free) / static_cast<double>(pages);
    const int64_t mode = NumberOf(db, "PRAGMA main.auto_vacuum");
    const bool is_needed = mode == 0 && *seen.number >= kFreeRatio;
    const char* word = mode == 1 ? "full" : mode == 2 ? "incremental" : "none";
    *auto_vacuum = Word("auto_vacuum", mode == 0 && !is_needed ? "not needed" : word,
                        std::string("auto_vacuum = ") + word + ", " + seen.evidence);
    return seen;
}

/// Facts of stat(), or why there are none.
struct FileFacts {
    struct stat facts {};
    std::string error;
};

FileFacts FactsOf(const std::string& path) {
    FileFacts file;
    if (stat(path.c_str(), &file.facts) != 0) {
        file.error = errno == ENOENT ? "there is no such file" : std::strerror(errno);
    }
    return file;
}

Observation WalSize(sqlite3* db) {
    const std::string path = FileName(db);
    if (path.empty() || TextOf(db, "PRAGMA main.journal_mode") != "wal") {
        return Number("wal_size", 0, "no WAL is used");
    }
    const FileFacts wal = FactsOf(path + "-wal");
    if (!wal.error.empty() && errno != ENOENT) {
        Observation seen = Seen("wal_size", "");
        seen.unknown_because = "the WAL file cannot be looked at: " + wal.error;
        return seen;
    }
    const int64_t bytes = wal.error.empty() ? wal.facts.st_size : 0;
    return Number("wal_size", bytes, "the WAL file has " + std::to_string(bytes) + " bytes");
}

Observation FilePermissions(sqlite3* db) {
    const std::string path = FileName(db);
    if (path.empty()) {
        return Word("file_permissions", "in memory", "no file");
    }
    const FileFacts file = FactsOf(path);
    if (!file.error.empty()) {
        Observation seen = Seen("file_permissions", "");
        seen.unknown_because = "the file cannot be looked at: " + file.error;
        return seen;
    }
    const bool everyone = (file.facts.st_mode & S_IWOTH) != 0;
    const char* who = everyone                              ? "everyone"
                      : (file.facts.st_mode & S_IWGRP) != 0 ? "group"
                                                            : "owner";
    return Word("file_permissions", who, std::string("writable by ") + who);
}

Observation StrictTables(sqlite3* db) {
    Observation seen = Seen("strict_tables", "");
    Stmt tables(db, "PRAGMA table_list");
    int64_t all = 0;
    while (tables.Step()) {
        const std::string name = Lower(tables.Text(kNameColumn));
        if (tables.Text(kTypeColumn) != "table" || name.starts_with("sqlite_")) {
            continue;
        }
        ++all;
        if (tables.Integer(kStrictColumn) == 0) {
            seen.objects.emplace_back(tables.Text(kNameColumn));
        }
    }
    seen.number = static_cast<double>(seen.objects.size());
    seen.evidence = std::to_string(seen.objects.size()) + " of " + std::to_string(all) +
                    " tables are not STRICT";
    return seen;
}

Observation Sequences(sqlite3* db) {
    constexpr double kLast = 9223372036854775807.0;
    Observation seen = Seen("sequences_near_end", "no AUTOINCREMENT");
    seen.number = 0;
    Result<Stmt> rows =
        Stmt::Prepare(db, "SELECT name, seq FROM main.sqlite_sequence ORDER BY seq DESC LIMIT 1");
    if (rows.ok() && rows.value().Step()) {
        seen.number = static_cast<double>(rows.value().Integer(1)) / kLast;
        seen.evidence = "highest AUTOINCREMENT is " + std::to_string(rows.value().Integer(1)) +
                        ", of " + std::string(rows.value().Text(0));
    }
    return seen;
}

}  // namespace

std::vector<Observation> ProbeHealth(sqlite3* db, const health::IndexInventory& inventory) {
    const int64_t busy = NumberOf(db, "PRAGMA busy_timeout");
    const int64_t checkpoint = NumberOf(db, "PRAGMA main.wal_autocheckpoint");
    const int64_t page_size = NumberOf(db, "PRAGMA main.page_size");
    const bool trusts = NumberOf(db, "PRAGMA trusted_schema") != 0;
    std::vector<Observation> seen = {
        Number("busy_timeout", busy, "busy_timeout = " + std::to_string(busy) + " ms"),
        JournalMode(db),
        Synchronous(db),
        ForeignKeys(db, inventory),
        Violations(db),
        Number("wal_autocheckpoint", checkpoint,
               "wal_autocheckpoint = " + std::to_string(checkpoint)),
        Number("page_size", page_size, "page_size = " + std::to_string(page_size)),
        WalSize(db),
        FilePermissions(db),
        StrictTables(db),
        Sequences(db),
        Word("trusted_schema", trusts ? "on" : "off",
             std::string("trusted_schema = ") + (trusts ? "on" : "off")),
        Seen("database_size", "main has " + std::to_string(SchemaBytes(db, "main")) + " bytes"),
    };
    Observation auto_vacuum;
    seen.push_back(Freelist(db, &auto_vacuum));
    seen.push_back(std::move(auto_vacuum));
    return seen;
}

}  // namespace upkeep::sqlite
