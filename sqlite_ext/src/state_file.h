// The state file: what was captured of a database outlives the process in `<database>-upkeep`, an
// SQLite database of our own beside the user's. Its tables hold sums, so several processes merge
// theirs by addition. What is read here was written by anyone who may write the file: it is
// checked.
//
// A process crash leaves it whole (rollback journal); a power failure may cost its contents, since
// nothing waits for the disk. Not for: when it is written (captured.h).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "stmt.h"
#include "upkeep/capture/slow_ring.h"
#include "upkeep/capture/store.h"

namespace upkeep::sqlite {

/// A statement with the texts that its numbers stand for.
struct CapturedStatement {
    capture::StatementSnapshot counts;
    std::string endpoint;  // empty: none
    std::string query;
};

struct CapturedSlow {
    capture::SlowStatement statement;
    std::string endpoint;
    std::string query;
};

struct CapturedFinding {
    capture::FindingSnapshot finding;
    std::string endpoint;
    std::string parent_query;
    std::string child_query;
};

/// An open state file. Methods throw Error; those that read name the file in it, see Named().
class StateFile {
  public:
    /// `/path/app.db-upkeep`
    static std::string PathFor(const std::string& database);

    /// Makes it where need be, with the database's own permissions, and begins a transaction.
    /// A symbolic link of its name is not followed.
    /// Waits up to `busy_ms` for another writer. Errors: kBusy, kHost, kUnsupported.
    static Result<StateFile> OpenForWriting(const std::string& database, int busy_ms);
    /// nullopt: there is none. Begins a transaction that sees one state of it.
    static Result<std::optional<StateFile>> OpenForReading(const std::string& database);

    /// Why nothing can be written to it, as far as that shows without writing; empty: it can.
    static std::string Obstacle(const std::string& database);

    /// What went wrong with it, with its name and what to do about it.
    Error Named(const Error& error) const;

    std::vector<CapturedStatement> Statements();
    std::vector<CapturedSlow> SlowStatements();  // newest first
    std::vector<CapturedFinding> Findings();

    void Add(const CapturedStatement& statement);
    void Add(const CapturedSlow& slow);
    void Add(const CapturedFinding& finding);
    /// Keeps the statements of the most time, and the newest slow ones.
    void Trim(const capture::StoreLimits& limits);
    void Clear();
    /// Without it nothing of what was written stays.
    void Commit();

    /// For tables that others keep in it; inside the transaction.
    sqlite3* connection() { return connection_.get(); }

  private:
    StateFile(PrivateConnection connection, std::string path)
        : connection_(std::move(connection)), path_(std::move(path)) {}
    void Begin(bool may_create);
    std::vector<CapturedStatement> ReadStatements();
    std::vector<CapturedSlow> ReadSlowStatements();
    std::vector<CapturedFinding> ReadFindings();
    void KeepText(int64_t fingerprint, const std::string& query);
    std::optional<CapturedStatement> Find(const CapturedStatement& like);
    void Keep(const std::string& sql, int64_t most);

    PrivateConnection connection_;
    std::string path_;
    bool has_findings_ = false;  // not in one of format 1
};

}  // namespace upkeep::sqlite
