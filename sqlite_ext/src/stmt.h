// A prepared statement and a private connection that clean up after themselves.
// Failures are thrown as Error with the host's own text (guard.h catches them); where a failure is
// foreseen (say, a text that may not parse) use Stmt::Prepare and look at the Result.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "guard.h"
#include "private_opening.h"
#include "sqlite_api.h"
#include "upkeep/base/result.h"

namespace upkeep::sqlite {

class Stmt {
  public:
    Stmt() = default;
    /// Prepares the first statement of `sql`; throws Error. Bytes after it are ignored (see
    /// tail()).
    Stmt(sqlite3* db, std::string_view sql) : Stmt(Prepare(db, sql).OrThrow()) {}
    Stmt(Stmt&& other) noexcept
        : db_(other.db_), stmt_(std::exchange(other.stmt_, nullptr)), tail_(other.tail_) {}
    Stmt& operator=(Stmt&& other) noexcept {
        std::swap(db_, other.db_);
        std::swap(stmt_, other.stmt_);
        std::swap(tail_, other.tail_);
        return *this;
    }
    Stmt(const Stmt&) = delete;
    Stmt& operator=(const Stmt&) = delete;
    ~Stmt() { sqlite3_finalize(stmt_); }

    /// Errors: kHost with SQLite's text, kBusy, kInterrupted, kPermissionDenied.
    static Result<Stmt> Prepare(sqlite3* db, std::string_view sql) {
        Stmt made;
        made.db_ = db;
        const char* tail = sql.data();
        const int code =
            sqlite3_prepare_v2(db, sql.data(), static_cast<int>(sql.size()), &made.stmt_, &tail);
        if (code != SQLITE_OK) {
            return HostError(db, code);
        }
        made.tail_ = static_cast<size_t>(tail - sql.data());
        return made;
    }

    /// Nothing but white space or comments was there to prepare.
    bool empty() const { return stmt_ == nullptr; }
    /// Offset in the text where the statement ended.
    size_t tail() const { return tail_; }
    sqlite3_stmt* get() const { return stmt_; }

    Stmt& Bind(int parameter, std::string_view text) {
        return Check(sqlite3_bind_text(stmt_, parameter, text.data(), static_cast<int>(text.size()),
                                       SQLITE_TRANSIENT));
    }
    Stmt& Bind(int parameter, int64_t number) {
        return Check(sqlite3_bind_int64(stmt_, parameter, number));
    }
    Stmt& Bind(int parameter, double number) {
        return Check(sqlite3_bind_double(stmt_, parameter, number));
    }

    /// True: there is a row. Throws Error.
    bool Step() {
        const int code = sqlite3_step(stmt_);
        if (code == SQLITE_ROW) {
            return true;
        }
        if (code != SQLITE_DONE) {
            throw HostError(db_, code);
        }
        return false;
    }
    /// Runs to the end, rows ignored. Throws Error.
    void Run() {
        while (Step()) {
        }
    }
    void Reset() { sqlite3_reset(stmt_); }

    /// Valid until the next Step.
    std::string_view Text(int column) const {
        const unsigned char* text = sqlite3_column_text(stmt_, column);
        return text == nullptr
                   ? std::string_view()
                   : std::string_view(reinterpret_cast<const char*>(text),
                                      static_cast<size_t>(sqlite3_column_bytes(stmt_, column)));
    }
    int64_t Integer(int column) const { return sqlite3_column_int64(stmt_, column); }
    double Float(int column) const { return sqlite3_column_double(stmt_, column); }
    bool IsNull(int column) const { return sqlite3_column_type(stmt_, column) == SQLITE_NULL; }

  private:
    Stmt& Check(int code) {
        if (code != SQLITE_OK) {
            throw HostError(db_, code);
        }
        return *this;
    }

    sqlite3* db_ = nullptr;
    sqlite3_stmt* stmt_ = nullptr;
    size_t tail_ = 0;
};

/// A connection of our own, `:memory:` unless told; used by one thread, closed with the object.
class PrivateConnection {
  public:
    PrivateConnection()
        : PrivateConnection(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) {}
    PrivateConnection(const char* path, int flags, const char* vfs = nullptr)
        : PrivateConnection(nullptr) {  // so that the destructor runs, if this throws
        const OpeningPrivately unregistered;
        const int code = sqlite3_open_v2(path, &db_, flags | SQLITE_OPEN_NOMUTEX, vfs);
        if (code != SQLITE_OK) {
            throw HostError(db_, code);
        }
    }
    PrivateConnection(PrivateConnection&& other) noexcept
        : db_(std::exchange(other.db_, nullptr)) {}
    PrivateConnection& operator=(PrivateConnection&& other) noexcept {
        std::swap(db_, other.db_);
        return *this;
    }
    PrivateConnection(const PrivateConnection&) = delete;
    PrivateConnection& operator=(const PrivateConnection&) = delete;
    ~PrivateConnection() { sqlite3_close_v2(db_); }

    sqlite3* get() const { return db_; }
    /// Runs one statement to its end. Throws Error.
    void Execute(std::string_view sql) { Stmt(db_, sql).Run(); }

  private:
    explicit PrivateConnection(sqlite3* db) : db_(db) {}

    sqlite3* db_;
};

}  // namespace upkeep::sqlite
