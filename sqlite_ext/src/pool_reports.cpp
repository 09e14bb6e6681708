// SPDX-License-Identifier: PostgreSQL
#include "pool_reports.h"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <tuple>

#include "capture_memory.h"
#include "fork_safe.h"
#include "sessions.h"
#include "settings_state.h"
#include "state_file.h"

namespace upkeep::sqlite {

namespace {

using sessions::PoolRecord;

constexpr int kBusyMs = 50;  // whoever else writes the state file is done in less

struct File {
    uint32_t number = 0;
    int64_t saved_us = 0;  // what was reported up to then is in the state file
};

struct Book {
    std::mutex mutex;
    std::map<std::string, File, std::less<>> files;  // by name; empty: in memory
    std::vector<PoolRecord> places;
};

std::mutex& TheMutex();

/// Never destroyed: threads may still report while the process exits.
Book& TheBook() {
    static Book& book = *new Book;
    KeepUnlockedInChildren<TheMutex>();
    return book;
}

std::mutex& TheMutex() {
    return TheBook().mutex;
}

File& FileOf(Book& book, const std::string& name) {
    File& file = book.files[name];
    if (file.number == 0) {
        file.number = static_cast<uint32_t>(book.files.size());
    }
    return file;
}

/// What this process knows of the file's pools, reported after `since_us`.
std::vector<PoolRecord> InMemory(const std::string& name, int64_t since_us) {
    Book& book = TheBook();
    const std::lock_guard lock(book.mutex);
    const uint32_t number = FileOf(book, name).number;
    std::vector<PoolRecord> pools;
    for (const PoolRecord& place : book.places) {
        if (place.database == number && place.reported_us > since_us) {
            pools.push_back(place);
        }
    }
    return pools;
}

bool IsPersistent(const std::string& name) {
    return !name.empty() && SettingValue("persist") == "on";
}

void Write(StateFile& file, const std::vector<PoolRecord>& pools, int64_t now_us) {
    sqlite3* db = file.connection();
    Stmt(db,
         "CREATE TABLE IF NOT EXISTS pools (application_name TEXT NOT NULL, pool TEXT NOT NULL,"
         " size INTEGER NOT NULL, checked_out INTEGER NOT NULL, overflow INTEGER NOT NULL,"
         " waiting INTEGER NOT NULL, timeouts INTEGER NOT NULL, wait_ms REAL NOT NULL,"
         " reported_us INTEGER NOT NULL, PRIMARY KEY (application_name, pool))")
        .Run();
    for (const PoolRecord& pool : pools) {
        Stmt row(db,
                 "INSERT INTO pools VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
                 " ON CONFLICT DO UPDATE SET size = excluded.size, checked_out ="
                 " excluded.checked_out, overflow = excluded.overflow, waiting = excluded.waiting,"
                 " timeouts = excluded.timeouts, wait_ms = excluded.wait_ms,"
                 " reported_us = excluded.reported_us WHERE excluded.reported_us > reported_us");
        row.Bind(1, std::string(pool.application_name.data()))
            .Bind(2, std::string(pool.pool.data()))
            .Bind(3, int64_t{pool.size})
            .Bind(4, int64_t{pool.checked_out})
            .Bind(5, int64_t{pool.overflow})
            .Bind(6, int64_t{pool.waiting})
            .Bind(7, pool.timeouts)
            .Bind(8, pool.wait_ms)
            .Bind(9, pool.reported_us)
            .Run();
    }
    Stmt(db, "DELETE FROM pools WHERE reported_us < ?1")
        .Bind(1, now_us - sessions::kPoolForgottenUs)
        .Run();
    Stmt(db,
         "DELETE FROM pools WHERE rowid IN (SELECT rowid FROM pools ORDER BY reported_us DESC"
         " LIMIT -1 OFFSET ?1)")
        .Bind(1, static_cast<int64_t>(sessions::kPoolPlaces))
        .Run();
}

/// Everything of the file that is not in its state file yet. Fails quietly: it goes with the next.
void Save(const std::string& name, int64_t now_us) {
    int64_t since_us = 0;
    {
        Book& book = TheBook();
        const std::lock_guard lock(book.mutex);
        since_us = FileOf(book, name).saved_us;
    }
    const std::vector<PoolRecord> pools = InMemory(name, since_us);
    try {
        Result<StateFile> file = StateFile::OpenForWriting(name, kBusyMs);
        if (!file.ok()) {
            return;
        }
        Write(file.value(), pools, now_us);
        file.value().Commit();
    } catch (const Error&) {
        return;
    }
    Book& book = TheBook();
    const std::lock_guard lock(book.mutex);
    File& kept = FileOf(book, name);
    for (const PoolRecord& pool : pools) {
        kept.saved_us = std::max(kept.saved_us, pool.reported_us);
    }
}

/// Whoever may write the file may have written anything into it.
bool IsSound(const PoolRecord& pool) {
    return pool.size >= 1 && pool.overflow >= 0 && pool.checked_out >= pool.overflow &&
           pool.idle() >= 0 && pool.waiting >= 0 && pool.timeouts >= 0 && pool.wait_ms >= 0;
}

int32_t Count(const Stmt& row, int column) {
    const int64_t number = row.Integer(column);
    return number < 0 || number > std::numeric_limits<int32_t>::max() / 4
               ? -1
               : static_cast<int32_t>(number);
}

std::vector<PoolRecord> InStateFile(const std::string& name) {
    std::vector<PoolRecord> pools;
    if (name.empty()) {
        return pools;
    }
    std::optional<StateFile> file = StateFile::OpenForReading(name).OrThrow();
    Result<Stmt> rows = file ? Stmt::Prepare(file->connection(),
                                             "SELECT application_name, pool, size, checked_out,"
                                             " overflow, waiting, timeouts, wait_ms, reported_us"
                                             " FROM pools")
                             : Result<Stmt>(Error(Code::kNotFound, "no state file"));
    while (rows.ok() && rows.value().Step()) {
        const Stmt& row = rows.value();
        PoolRecord pool;
        sessions::SetName(&pool.application_name, ToUtf8(row.Text(0)));
        sessions::SetName(&pool.pool, ToUtf8(row.Text(1)));
        pool.size = Count(row, 2);
        pool.checked_out = Count(row, 3);
        pool.overflow = Count(row, 4);
        pool.waiting = Count(row, 5);
        pool.timeouts = row.Integer(6);
        pool.wait_ms = row.Float(7);
        pool.reported_us = row.Integer(8);
        if (IsSound(pool)) {
            pools.push_back(pool);
        }
    }
    return pools;
}

}  // namespace

void KeepPoolReport(sqlite3* db, const PoolRecord& record) {
    const std::string name = MainFile(db);
    PoolRecord own = record;
    own.reported_us = WallClockUs();
    sessions::SetName(&own.application_name, ProcessName(getpid()));
    {
        Book& book = TheBook();
        const std::lock_guard lock(book.mutex);
        own.database = FileOf(book, name).number;
        book.places.resize(sessions::kPoolPlaces);
        sessions::PoolBook(book.places).Put(own);
    }
    if (IsPersistent(name)) {
        Save(name, own.reported_us);
    }
}

std::vector<PoolRecord> ReadPools(sqlite3* db) {
    const std::string name = MainFile(db);
    std::vector<PoolRecord> pools = InMemory(name, 0);
    for (const PoolRecord& saved : InStateFile(name)) {
        const auto same = std::find_if(pools.begin(), pools.end(), [&](const PoolRecord& pool) {
            return std::tie(pool.application_name, pool.pool) ==
                   std::tie(saved.application_name, saved.pool);
        });
        if (same == pools.end()) {
            pools.push_back(saved);
        } else if (same->reported_us < saved.reported_us) {
            *same = saved;
        }
    }
    return pools;
}

Result<std::vector<PoolRecord>> TryReadPools(sqlite3* db) {
    try {
        return ReadPools(db);
    } catch (const Error& error) {
        if (error.code() == Code::kInterrupted) {
            throw;
        }
        return error;
    }
}

std::string WhereReportsAreKept(sqlite3* db) {
    const std::string name = MainFile(db);
    if (!IsPersistent(name)) {
        return name.empty() ? "in memory, until the process ends: the database has no file"
                            : "in memory, until the process ends: setting persist is off";
    }
    const std::string obstacle = StateFile::Obstacle(name);
    return obstacle.empty() ? "in " + StateFile::PathFor(name)
                            : "in memory, until the process ends: " + obstacle;
}

}  // namespace upkeep::sqlite
