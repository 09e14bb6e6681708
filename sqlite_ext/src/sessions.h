// SQLite's sessions as the core wants them: this process's connections (registry.h), and other
// processes by the locks they hold on the same files. Not for: deciding anything.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "registry.h"
#include "upkeep/sessions/reap.h"

namespace upkeep::sqlite {

/// Stands for the file of a database that has none.
inline constexpr const char* kInMemory = ":memory:";

/// One other process that has a file open, from the kernel's table of locks.
struct ForeignLocks {
    int64_t pid = 0;
    bool writes = false;       // RESERVED or above, or the WAL's write lock
    bool reads = false;        // pins a snapshot: a read mark of the WAL, or SHARED without a WAL
    bool checkpoints = false;  // or recovers
    uint8_t read_slots = 0;    // of the WAL's read marks, as bits
};

/// Other processes that hold locks on the database `file`, by pid. Linux; elsewhere none.
/// Note: looks at names and inodes only. Opening and closing the file would drop this process's own
/// locks on it. Processes of another pid namespace are not seen.
/// `own`: this process's as well, as one.
std::vector<ForeignLocks> LocksOfOthers(const std::string& file, ForeignLocks* own = nullptr);

/// What the process calls itself; empty: not known.
std::string ProcessName(int64_t pid);

class ProcessSessions : public sessions::SessionPort {
  public:
    explicit ProcessSessions(sqlite3* db) : db_(db) {}

    std::vector<sessions::SessionSnapshot> Look(int64_t* now_us) override;
    /// This process's only.
    std::vector<sessions::SessionSnapshot> LookHere(int64_t* now_us);
    /// Interrupts what runs or has an open statement; else rolls the transaction back (force.h).
    sessions::Outcome Act(const sessions::SessionSnapshot& seen, sessions::RuleAction action,
                          sessions::MustBe must_be) override;
    void Notice(const std::string&, const std::string&) override {}
    /// The same with what each keeps from being checkpointed. The caller's thread only.
    std::vector<sessions::SessionSnapshot> LookAtLocks(int64_t* now_us);
    std::string CurrentDatabase() override;

  private:
    /// Says of each that pins the caller's WAL how much of it.
    void AddWalNotes(std::vector<sessions::SessionSnapshot>* sessions) const;

    sqlite3* db_;
    std::vector<ConnectionView> views_;  // of the last Look
};

}  // namespace upkeep::sqlite
