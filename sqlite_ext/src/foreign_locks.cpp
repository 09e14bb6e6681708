// Reads /proc/locks. Bytes of locks: https://www.sqlite.org/walformat.html (shared memory file) and
// os.h of SQLite (database file).
// SPDX-License-Identifier: PostgreSQL
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

#include "sessions.h"

namespace upkeep::sqlite {

namespace {

constexpr int64_t kReserved = 0x40000001;
constexpr int64_t kSharedFirst = 0x40000002;
constexpr int64_t kWalWrite = 120;
constexpr int64_t kWalCheckpoint = 121;
constexpr int64_t kWalRecover = 122;
constexpr int64_t kWalReadFirst = 123;
constexpr int64_t kWalReadLast = 127;

struct FileId {
    unsigned major;
    unsigned minor;
    uint64_t inode;
    friend bool operator==(const FileId&, const FileId&) = default;
};

std::optional<FileId> Identify(const std::string& path) {
    struct stat found = {};
    if (stat(path.c_str(), &found) != 0) {
        return std::nullopt;
    }
    return FileId{major(found.st_dev), minor(found.st_dev), found.st_ino};
}

struct HeldLock {
    int64_t pid;
    FileId file;
    int64_t first;
    int64_t last;

    bool Covers(int64_t from, int64_t to) const { return first <= to && last >= from; }
};

/// `1: POSIX  ADVISORY  WRITE 1234 fe:01:56789 120 120`
std::optional<HeldLock> Parse(const char* line) {
    HeldLock lock = {};
    char last[32] = "";
    if (std::strstr(line, "POSIX") == nullptr || std::strstr(line, "->") != nullptr ||
        std::sscanf(line, "%*s %*s %*s %*s %" SCNd64 " %x:%x:%" SCNu64 " %" SCNd64 " %31s",
                    &lock.pid, &lock.file.major, &lock.file.minor, &lock.file.inode, &lock.first,
                    last) != 6) {
        return std::nullopt;
    }
    lock.last = std::strcmp(last, "EOF") == 0 ? INT64_MAX : std::strtoll(last, nullptr, 10);
    return lock;
}

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

std::vector<ForeignLocks> LocksOfOthers(const std::string& file, ForeignLocks* own) {
    const std::optional<FileId> database = Identify(file);
    const std::optional<FileId> shared = Identify(file + "-shm");
    const std::unique_ptr<std::FILE, CloseFile> table(std::fopen("/proc/locks", "re"));
    if (!database || table == nullptr) {
        return {};
    }
    std::map<int64_t, ForeignLocks> by_pid;
    char line[256];
    while (std::fgets(line, sizeof line, table.get()) != nullptr) {
        const std::optional<HeldLock> lock = Parse(line);
        if (!lock || lock->pid <= 0 || (lock->pid == getpid() && own == nullptr)) {
            continue;
        }
        if (lock->file == *database) {
            ForeignLocks& other = by_pid[lock->pid];
            other.writes |= lock->Covers(kReserved, kReserved);
            // With a WAL everyone connected holds SHARED all the time.
            other.reads |= !shared && lock->Covers(kSharedFirst, kSharedFirst + 509);
        } else if (shared && lock->file == *shared) {
            ForeignLocks& other = by_pid[lock->pid];
            other.writes |= lock->Covers(kWalWrite, kWalWrite);
            other.checkpoints |= lock->Covers(kWalCheckpoint, kWalRecover);
            other.reads |= lock->Covers(kWalReadFirst, kWalReadLast);
            for (int64_t byte = kWalReadFirst; byte <= kWalReadLast; ++byte) {
                const int bit = lock->Covers(byte, byte) ? 1 << (byte - kWalReadFirst) : 0;
                other.read_slots = static_cast<uint8_t>(other.read_slots | bit);
            }
        }
    }
    std::vector<ForeignLocks> others;
    for (auto& [pid, other] : by_pid) {
        other.pid = pid;
        if (pid != getpid()) {
            others.push_back(other);
        } else if (own != nullptr) {
            *own = other;
        }
    }
    return others;
}

}  // namespace upkeep::sqlite
