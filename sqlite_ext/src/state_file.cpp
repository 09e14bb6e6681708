// SPDX-License-Identifier: PostgreSQL
#include "state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "upkeep/base/text.h"
#include "upkeep/capture/histogram_bytes.h"

namespace upkeep::sqlite {

namespace {

constexpr int kApplicationId = 0x75706b70;  // `upkp`
constexpr int kVersion = 2;                 // 1: without n_plus_one
constexpr int kReadBusyMs = 1000;

constexpr const char* kSchema[] = {
    "CREATE TABLE statements (fingerprint INTEGER NOT NULL, endpoint TEXT NOT NULL,"
    " is_top_level INTEGER NOT NULL, operation INTEGER NOT NULL, tables TEXT NOT NULL,"
    " calls INTEGER NOT NULL, errors INTEGER NOT NULL, rows INTEGER NOT NULL,"
    " total_ns INTEGER NOT NULL, full_scans INTEGER NOT NULL, sorts INTEGER NOT NULL,"
    " slow_calls INTEGER NOT NULL, min_ns INTEGER, max_ns INTEGER NOT NULL,"
    " squares_ns2 REAL NOT NULL, shift_ns INTEGER NOT NULL, first_seen_us INTEGER NOT NULL,"
    " last_seen_us INTEGER NOT NULL, durations BLOB NOT NULL,"
    " UNIQUE (fingerprint, endpoint, is_top_level))",
    "CREATE TABLE texts (fingerprint INTEGER PRIMARY KEY, query TEXT NOT NULL)",
    "CREATE TABLE slow_statements (ended_us INTEGER NOT NULL, duration_ns INTEGER NOT NULL,"
    " fingerprint INTEGER NOT NULL, rows INTEGER NOT NULL, pid INTEGER NOT NULL,"
    " endpoint TEXT NOT NULL, error_code TEXT NOT NULL, query TEXT NOT NULL,"
    " parameters TEXT NOT NULL, plan TEXT NOT NULL)",
    "CREATE INDEX slow_statements_at ON slow_statements (ended_us)",
};

/// Since format 2; one of format 1 gets it when it is written.
constexpr const char* kFindings =
    "CREATE TABLE IF NOT EXISTS n_plus_one (parent INTEGER NOT NULL, child INTEGER NOT NULL,"
    " endpoint TEXT NOT NULL, kind INTEGER NOT NULL, occurrences INTEGER NOT NULL,"
    " max_repeats INTEGER NOT NULL, total_repeats INTEGER NOT NULL, total_ns INTEGER NOT NULL,"
    " last_seen_us INTEGER NOT NULL, UNIQUE (parent, child, endpoint, kind))";

constexpr const char* kColumns =
    "fingerprint, endpoint, is_top_level, operation, tables, calls, errors, rows, total_ns,"
    " full_scans, sorts, slow_calls, min_ns, max_ns, squares_ns2, shift_ns, first_seen_us,"
    " last_seen_us, durations";

int64_t Pragma(sqlite3* db, const char* name) {
    Stmt value(db, std::string("PRAGMA ") + name);
    return value.Step() ? value.Integer(0) : 0;
}

Error WithName(const std::string& path, const Error& error) {
    return {error.code(), "state file " + path + ": " + error.message(),
            error.hint().empty() || error.code() == Code::kHost  // else about the user's database
                ? "check that the file can be read and written; it may be deleted, "
                  "it holds nothing but upkeep's statistics, rules and log"
                : error.hint()};
}

/// SQLite would give it the permissions of the process's mask; it is to be no more public than the
/// database. Opened only if it is new: closing a file that SQLite has open drops its locks.
void MakeLike(const std::string& database, const std::string& path) {
    struct stat like {};
    if (stat(database.c_str(), &like) != 0) {
        return;
    }
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, like.st_mode & 0666);
    if (file < 0) {
        return;  // there already, or SQLite's own attempt says what is wrong
    }
    // By root for another user: the database's user is to be able to write it.
    const int owned = fchown(file, like.st_uid, like.st_gid);
    const int allowed = fchmod(file, like.st_mode & 0666);
    static_cast<void>(owned);
    static_cast<void>(allowed);
    close(file);
}

/// SQLite follows a symbolic link: whoever may write the folder could have us write elsewhere.
/// SQLITE_OPEN_NOFOLLOW holds between this look and the opening; the text is for people.
void RefuseLink(const std::string& path) {
    struct stat found {};
    if (lstat(path.c_str(), &found) == 0 && !S_ISREG(found.st_mode)) {
        throw Error(Code::kUnsupported,
                    S_ISLNK(found.st_mode) ? "it is a symbolic link" : "it is not a file",
                    "move it away, upkeep makes a file of its own");
    }
}

uint64_t Counter(const Stmt& row, int column) {
    const int64_t value = row.Integer(column);
    return value < 0 ? 0 : static_cast<uint64_t>(value);
}

int64_t Number(uint64_t count) {
    constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    return static_cast<int64_t>(std::min(count, kMost));
}

CapturedStatement FromRow(const Stmt& row) {
    CapturedStatement made;
    capture::StatementSnapshot& counts = made.counts;
    capture::StatementTotals& totals = counts.totals;
    counts.key.fingerprint = row.Integer(0);
    made.endpoint = ToUtf8(row.Text(1));
    counts.key.top_level = row.Integer(2) != 0 ? 1 : 0;
    counts.operation = static_cast<capture::Operation>(row.Integer(3));
    counts.tables = ToUtf8(row.Text(4));
    totals.calls = Counter(row, 5);
    totals.errors = Counter(row, 6);
    totals.rows = Counter(row, 7);
    totals.total_ns = Counter(row, 8);
    totals.full_scans = Counter(row, 9);
    totals.sorts = Counter(row, 10);
    totals.slow_calls = Counter(row, 11);
    totals.min_ns = row.IsNull(12) ? UINT64_MAX : Counter(row, 12);
    totals.max_ns = Counter(row, 13);
    totals.squares_ns2 = row.Float(14);
    totals.shift_ns = Counter(row, 15);
    totals.first_seen_us = row.Integer(16);
    totals.last_seen_us = row.Integer(17);
    Result<std::vector<capture::BucketCount>> buckets = capture::DecodeBuckets(row.Text(18));
    if (buckets.ok()) {  // else altered by someone: the sums are still there
        counts.buckets = std::move(buckets).value();
    }
    return made;
}

}  // namespace

std::string StateFile::PathFor(const std::string& database) {
    return database + "-upkeep";
}

void StateFile::Begin(bool may_create) {
    sqlite3* db = connection_.get();
    if (may_create) {
        connection_.Execute("PRAGMA synchronous = OFF");
    }
    connection_.Execute(may_create ? "BEGIN IMMEDIATE" : "BEGIN");
    const int64_t version = Pragma(db, "user_version");
    const int64_t id = Pragma(db, "application_id");
    Stmt objects(db, "SELECT count(*) FROM sqlite_schema");
    objects.Step();
    const bool is_empty = objects.Integer(0) == 0;
    if (!is_empty && id != kApplicationId) {
        throw Error(Code::kUnsupported, "it is another program's",
                    "move " + path_ + " away, upkeep makes one of its own");
    }
    if (version > kVersion) {
        throw Error(Code::kUnsupported, "a newer upkeep made it", "load that version");
    }
    Stmt tables(db,
                "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN"
                " ('statements', 'texts', 'slow_statements')");
    if (!is_empty && (!tables.Step() || tables.Integer(0) != 3)) {
        throw Error(Code::kHost, "tables are missing from it");
    }
    if (is_empty && may_create) {
        for (const char* sql : kSchema) {
            connection_.Execute(sql);
        }
        connection_.Execute("PRAGMA application_id = " + std::to_string(kApplicationId));
    }
    if (may_create && (is_empty || version < kVersion)) {
        connection_.Execute(kFindings);
        connection_.Execute("PRAGMA user_version = " + std::to_string(kVersion));
    }
    Stmt findings(db,
                  "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name ="
                  " 'n_plus_one'");
    has_findings_ = findings.Step() && findings.Integer(0) == 1;
    if (!is_empty && version >= 2 && !has_findings_) {
        throw Error(Code::kHost, "tables are missing from it");
    }
}

Result<StateFile> StateFile::OpenForWriting(const std::string& database, int busy_ms) {
    const std::string path = PathFor(database);
    try {
        RefuseLink(path);
        MakeLike(database, path);
        StateFile file(PrivateConnection(path.c_str(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                                           SQLITE_OPEN_NOFOLLOW),
                       path);
        sqlite3_busy_timeout(file.connection_.get(), busy_ms);
        file.Begin(true);
        return file;
    } catch (const Error& error) {
        return WithName(path, error);
    }
}

Result<std::optional<StateFile>> StateFile::OpenForReading(const std::string& database) {
    const std::string path = PathFor(database);
    struct stat found {};
    if (database.empty() || lstat(path.c_str(), &found) != 0 || found.st_size == 0) {
        return std::optional<StateFile>();
    }
    try {
        RefuseLink(path);
        // Writing is for the journal of a process that died; SQLite does without where it may not.
        StateFile file(
            PrivateConnection(path.c_str(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW), path);
        sqlite3_busy_timeout(file.connection_.get(), kReadBusyMs);
        file.Begin(false);
        return std::optional<StateFile>(std::move(file));
    } catch (const Error& error) {
        return WithName(path, error);
    }
}

std::string StateFile::Obstacle(const std::string& database) {
    const std::string path = PathFor(database);
    try {
        RefuseLink(path);
        if (access(path.c_str(), F_OK) == 0) {
            OpenForReading(database).OrThrow();
        }
    } catch (const Error& error) {
        return error.message();
    }
    const std::string folder = path.substr(0, path.rfind('/') + 1);
    const bool is_there = access(path.c_str(), F_OK) == 0;
    if (is_there && access(path.c_str(), W_OK) != 0) {
        return path + ": " + strerror(errno);
    }
    // Also where the file is there: its journal is made beside it.
    if (access(folder.empty() ? "." : folder.c_str(), W_OK) != 0) {
        return folder + ": " + strerror(errno);
    }
    return "";
}

Error StateFile::Named(const Error& error) const {
    return WithName(path_, error);
}

std::vector<CapturedStatement> StateFile::Statements() {
    try {
        return ReadStatements();
    } catch (const Error& error) {
        throw Named(error);
    }
}

std::vector<CapturedSlow> StateFile::SlowStatements() {
    try {
        return ReadSlowStatements();
    } catch (const Error& error) {
        throw Named(error);
    }
}

std::vector<CapturedStatement> StateFile::ReadStatements() {
    std::vector<CapturedStatement> all;
    Stmt rows(connection_.get(), std::string("SELECT ") + kColumns +
                                     ", (SELECT query FROM texts AS t WHERE"
                                     " t.fingerprint = s.fingerprint) FROM statements AS s");
    while (rows.Step()) {
        all.push_back(FromRow(rows));
        all.back().query = rows.IsNull(19) ? capture::kNotKept : ToUtf8(rows.Text(19));
    }
    return all;
}

std::optional<CapturedStatement> StateFile::Find(const CapturedStatement& like) {
    Stmt row(connection_.get(), std::string("SELECT ") + kColumns +
                                    " FROM statements WHERE fingerprint = ?1 AND endpoint = ?2"
                                    " AND is_top_level = ?3");
    row.Bind(1, like.counts.key.fingerprint)
        .Bind(2, like.endpoint)
        .Bind(3, int64_t{like.counts.key.top_level});
    if (!row.Step()) {
        return std::nullopt;
    }
    return FromRow(row);
}

void StateFile::Add(const CapturedStatement& statement) {
    capture::StatementSnapshot sum = statement.counts;
    if (std::optional<CapturedStatement> there = Find(statement)) {
        there->counts.Merge(sum);
        sum = std::move(there->counts);
    }
    const capture::StatementTotals& totals = sum.totals;
    Stmt row(connection_.get(), std::string("INSERT OR REPLACE INTO statements (") + kColumns +
                                    ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,"
                                    "?16,?17,?18,CAST(?19 AS BLOB))");
    row.Bind(1, sum.key.fingerprint).Bind(2, statement.endpoint);
    row.Bind(3, int64_t{sum.key.top_level}).Bind(4, static_cast<int64_t>(sum.operation));
    row.Bind(5, sum.tables);
    int column = 6;
    for (const uint64_t count : {totals.calls, totals.errors, totals.rows, totals.total_ns,
                                 totals.full_scans, totals.sorts, totals.slow_calls}) {
        row.Bind(column++, Number(count));
    }
    if (totals.min_ns != UINT64_MAX) {
        row.Bind(13, Number(totals.min_ns));
    }
    row.Bind(14, Number(totals.max_ns)).Bind(15, totals.squares_ns2);
    row.Bind(16, Number(totals.shift_ns)).Bind(17, totals.first_seen_us);
    row.Bind(18, totals.last_seen_us).Bind(19, capture::EncodeBuckets(sum.buckets));
    row.Run();
    KeepText(sum.key.fingerprint, statement.query);
}

void StateFile::KeepText(int64_t fingerprint, const std::string& query) {
    if (query != capture::kNotKept) {
        Stmt text(connection_.get(), "INSERT OR IGNORE INTO texts VALUES (?1, ?2)");
        text.Bind(1, fingerprint).Bind(2, query).Run();
    }
}

std::vector<CapturedFinding> StateFile::Findings() {
    try {
        return ReadFindings();
    } catch (const Error& error) {
        throw Named(error);
    }
}

std::vector<CapturedFinding> StateFile::ReadFindings() {
    std::vector<CapturedFinding> all;
    if (!has_findings_) {
        return all;
    }
    Stmt row(connection_.get(),
             "SELECT parent, child, endpoint, kind, occurrences, max_repeats, total_repeats,"
             " total_ns, last_seen_us, (SELECT query FROM texts WHERE fingerprint = parent),"
             " (SELECT query FROM texts WHERE fingerprint = child) FROM n_plus_one");
    while (row.Step()) {
        CapturedFinding& made = all.emplace_back();
        made.finding.key.parent = row.Integer(0);
        made.finding.key.child = row.Integer(1);
        made.endpoint = ToUtf8(row.Text(2));
        made.finding.key.kind = row.Integer(3) == 0 ? capture::FindingKind::kNPlusOne
                                                    : capture::FindingKind::kRepeatedRead;
        made.finding.totals = {Counter(row, 4), Counter(row, 6), Counter(row, 5), Counter(row, 7),
                               row.Integer(8)};
        made.parent_query = row.IsNull(9) ? capture::kNotKept : ToUtf8(row.Text(9));
        made.child_query = row.IsNull(10) ? capture::kNotKept : ToUtf8(row.Text(10));
    }
    return all;
}

void StateFile::Add(const CapturedFinding& finding) {
    const capture::FindingTotals& totals = finding.finding.totals;
    const capture::FindingKey& key = finding.finding.key;
    Stmt row(connection_.get(),
             "INSERT INTO n_plus_one VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)"
             " ON CONFLICT (parent, child, endpoint, kind) DO UPDATE SET"
             " occurrences = occurrences + excluded.occurrences,"
             " max_repeats = max(max_repeats, excluded.max_repeats),"
             " total_repeats = total_repeats + excluded.total_repeats,"
             " total_ns = total_ns + excluded.total_ns,"
             " last_seen_us = max(last_seen_us, excluded.last_seen_us)");
    row.Bind(1, key.parent).Bind(2, key.child).Bind(3, finding.endpoint);
    row.Bind(4, static_cast<int64_t>(key.kind)).Bind(5, Number(totals.occurrences));
    row.Bind(6, Number(totals.max_repeats)).Bind(7, Number(totals.total_repeats));
    row.Bind(8, Number(totals.total_ns)).Bind(9, totals.last_seen_us).Run();
    KeepText(key.parent, finding.parent_query);
    KeepText(key.child, finding.child_query);
}

std::vector<CapturedSlow> StateFile::ReadSlowStatements() {
    std::vector<CapturedSlow> all;
    Stmt row(connection_.get(),
             "SELECT ended_us, duration_ns, fingerprint, rows, pid, endpoint, error_code, query,"
             " parameters, plan FROM slow_statements ORDER BY ended_us DESC");
    while (row.Step()) {
        CapturedSlow& made = all.emplace_back();
        capture::SlowFields& fields = made.statement.fields;
        fields.ended_us = row.Integer(0);
        fields.duration_ns = Counter(row, 1);
        fields.fingerprint = row.Integer(2);
        fields.rows = Counter(row, 3);
        fields.pid = static_cast<int32_t>(row.Integer(4));
        made.endpoint = ToUtf8(row.Text(5));
        made.statement.error_code = ToUtf8(row.Text(6));
        made.query = ToUtf8(row.Text(7));
        made.statement.parameters = ToUtf8(row.Text(8));
        made.statement.plan = ToUtf8(row.Text(9));
    }
    return all;
}

void StateFile::Add(const CapturedSlow& slow) {
    const capture::SlowStatement& statement = slow.statement;
    Stmt row(connection_.get(),
             "INSERT INTO slow_statements VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)");
    row.Bind(1, statement.fields.ended_us).Bind(2, Number(statement.fields.duration_ns));
    row.Bind(3, statement.fields.fingerprint).Bind(4, Number(statement.fields.rows));
    row.Bind(5, int64_t{statement.fields.pid}).Bind(6, slow.endpoint);
    row.Bind(7, statement.error_code).Bind(8, slow.query);
    row.Bind(9, statement.parameters).Bind(10, statement.plan);
    row.Run();
}

void StateFile::Keep(const std::string& sql, int64_t most) {
    Stmt row(connection_.get(), sql);
    row.Bind(1, most).Run();
}

void StateFile::Trim(const capture::StoreLimits& limits) {
    Keep(
        "DELETE FROM statements WHERE (SELECT count(*) FROM statements) > ?1 AND rowid IN"
        " (SELECT rowid FROM statements ORDER BY total_ns DESC, last_seen_us DESC"
        " LIMIT -1 OFFSET ?1)",
        limits.statements);
    Keep(
        "DELETE FROM n_plus_one WHERE rowid IN (SELECT rowid FROM n_plus_one"
        " ORDER BY total_repeats DESC LIMIT -1 OFFSET ?1)",
        limits.findings);
    Keep(
        "DELETE FROM texts WHERE (SELECT count(*) FROM texts) > ?1"
        " AND fingerprint NOT IN (SELECT fingerprint FROM statements UNION"
        " SELECT parent FROM n_plus_one UNION SELECT child FROM n_plus_one)",
        limits.statements);
    Keep(
        "DELETE FROM slow_statements WHERE rowid IN (SELECT rowid FROM slow_statements"
        " ORDER BY ended_us DESC LIMIT -1 OFFSET ?1)",
        limits.slow_statements);
}

void StateFile::Clear() {
    for (const char* sql : {"DELETE FROM statements", "DELETE FROM texts",
                            "DELETE FROM slow_statements", "DELETE FROM n_plus_one"}) {
        connection_.Execute(sql);
    }
}

void StateFile::Commit() {
    connection_.Execute("COMMIT");
}

}  // namespace upkeep::sqlite
