// SPDX-License-Identifier: PostgreSQL
#include "run_guard.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "capture_memory.h"
#include "catalog.h"

namespace upkeep::sqlite {

namespace {

constexpr int kLockWaitMs = 1000;

/// PRAGMAs that tell and change nothing: table-valued functions and full-text search ask by them.
bool IsTellingPragma(const char* name) {
    constexpr const char* kTelling[] = {
        "collation_list", "compile_options", "data_version", "database_list", "foreign_key_list",
        "function_list",  "index_info",      "index_list",   "index_xinfo",   "module_list",
        "pragma_list",    "table_info",      "table_list",   "table_xinfo"};
    const std::string lower = Lower(name == nullptr ? "" : name);
    return std::find(std::begin(kTelling), std::end(kTelling), lower) != std::end(kTelling);
}

bool IsPermitted(const Permit& permit, const char* function) {
    const auto known = permit.functions.find(Lower(function == nullptr ? "" : function));
    return known == permit.functions.end() || known->second;
}

/// Databases of the caller that are files, `main` first.
std::vector<std::pair<std::string, std::string>> FilesOf(sqlite3* db) {
    std::vector<std::pair<std::string, std::string>> files;
    Stmt rows(db, "PRAGMA database_list");
    while (rows.Step()) {
        if (!rows.Text(2).empty()) {
            files.emplace_back(rows.Text(1), rows.Text(2));
        }
    }
    return files;
}

bool StartsWith(std::string_view text, std::string_view head) {
    return text.substr(0, head.size()) == head;
}

}  // namespace

double NowMs() {
    return static_cast<double>(SteadyNs()) / 1e6;
}

int Look(void* data) noexcept {
    auto* watch = static_cast<Watch*>(data);
    watch->is_over = NowMs() >= watch->ends_at_ms;
    Failure failure;
    const auto ask = [watch] { watch->is_cancelled = watch->port.ShouldStop(); };
    watch->is_cancelled = !Guarded(&failure, ask) || watch->is_cancelled;
    return watch->is_over || watch->is_cancelled ? 1 : 0;
}

int Authorize(void* data, int action, const char* first, const char* second, const char*,
              const char*) noexcept {
    auto* permit = static_cast<Permit*>(data);
    switch (action) {
        case SQLITE_SELECT:
        case SQLITE_READ:
        case SQLITE_RECURSIVE:
            return SQLITE_OK;
        case SQLITE_FUNCTION:
            if (IsPermitted(*permit, second)) {
                return SQLITE_OK;
            }
            permit->refused = std::string("function ") + second;
            return SQLITE_DENY;
        case SQLITE_PRAGMA:
            if (IsTellingPragma(first)) {
                return SQLITE_OK;
            }
            permit->refused = std::string("PRAGMA ") + first;
            return SQLITE_DENY;
        case SQLITE_INSERT:
        case SQLITE_UPDATE:
        case SQLITE_DELETE:
            return permit->is_connecting ? SQLITE_OK : SQLITE_DENY;
        default:
            return SQLITE_DENY;
    }
}

std::map<std::string, bool> ReadFunctions(sqlite3* db) {
    constexpr int64_t kDirectOnly = 0x80000;
    constexpr int64_t kInnocuous = 0x200000;
    constexpr const char* kOfSearch[] = {"bm25",      "highlight", "match",
                                         "matchinfo", "offsets",   "snippet"};
    std::map<std::string, bool> functions;
    Stmt rows(db, "SELECT name, builtin, flags FROM pragma_function_list");
    while (rows.Step()) {
        const std::string name = Lower(rows.Text(0));
        const int64_t flags = rows.Integer(2);
        const bool is_known =
            rows.Integer(1) != 0 || (flags & kInnocuous) != 0 ||
            std::find(std::begin(kOfSearch), std::end(kOfSearch), name) != std::end(kOfSearch);
        const bool may_run =
            is_known && (flags & kDirectOnly) == 0 && name.rfind("upkeep_", 0) != 0;
        const auto [place, is_new] = functions.emplace(name, may_run);
        place->second = place->second && may_run;
    }
    return functions;
}

bool HasOwnModulesOnly(sqlite3* db) {
    constexpr std::string_view kOwn[] = {"bytecode", "dbstat", "fts",     "geopoly", "json_",
                                         "pragma_",  "rtree",  "sqlite_", "tables_", "upkeep_"};
    Stmt rows(db, "SELECT name FROM pragma_module_list");
    while (rows.Step()) {
        const std::string name = Lower(rows.Text(0));
        if (std::none_of(std::begin(kOwn), std::end(kOwn),
                         [&name](std::string_view own) { return name.rfind(own, 0) == 0; })) {
            return false;
        }
    }
    return true;
}

PrivateConnection OpenFile(const std::string& path) {
    // Where no WAL is, reading makes an empty one, and only who may write clears it away again.
    const bool has_wal = access((path + "-wal").c_str(), F_OK) == 0;
    const bool may_write = access(path.c_str(), W_OK) == 0;
    PrivateConnection made(path.c_str(),
                           has_wal || !may_write ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    sqlite3_busy_timeout(made.get(), kLockWaitMs);
    return made;
}

PrivateConnection OpenReadOnly(sqlite3* db) {
    const std::vector<std::pair<std::string, std::string>> files = FilesOf(db);
    if (files.empty() || files[0].first != "main") {
        throw Error(Code::kUnsupported,
                    "a database in memory cannot be read by a second connection, so nothing is run",
                    kLeaveRunOut);
    }
    PrivateConnection made = OpenFile(files[0].second);
    for (size_t i = 1; i < files.size(); ++i) {
        Stmt attach(made.get(), "ATTACH ? AS " + Quoted(files[i].first));
        attach.Bind(1, files[i].second).Run();
    }
    made.Execute("PRAGMA query_only = 1");
    return made;
}

Error Refusal(const Error& error, const Permit& permit) {
    if (!permit.refused.empty()) {
        return {Code::kInvalidArgument,
                "the statement is not run: " + permit.refused + " may have effects of its own",
                kLeaveRunOut};
    }
    for (const char* head : {"no such table: ", "no such function: ", "no such collation ",
                             "no such module: ", "no such column: "}) {
        if (StartsWith(error.message(), head)) {
            return {Code::kUnsupported, error.message() + " where the statement would be run",
                    "a run has a connection of its own: it sees committed rows of database files, "
                    "no temporary tables and none of your functions; leave run out"};
        }
    }
    if (error.code() == Code::kPermissionDenied) {
        return {Code::kInvalidArgument,
                "the statement is not run: it may write, or use virtual tables that are not "
                "SQLite's own",
                kLeaveRunOut};
    }
    return error;
}

}  // namespace upkeep::sqlite
