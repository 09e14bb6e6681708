// The layout of the index: https://www.sqlite.org/walformat.html, "WAL-Index Header".
// SPDX-License-Identifier: PostgreSQL
#include "wal_view.h"

#include <sys/stat.h>

#include <algorithm>

#include "capture_memory.h"
#include "stmt.h"

namespace upkeep::sqlite {

namespace {

constexpr int kRegionBytes = 32768;
constexpr int kFrames = 4;  // places of 32-bit words
constexpr int kCheckpointed = 24;
constexpr int kFirstMark = 25;
constexpr uint32_t kUnused = 0xffffffff;  // a slot that nobody has set

std::string PragmaText(sqlite3* db, const char* sql) {
    Stmt value(db, sql);
    return value.Step() ? std::string(value.Text(0)) : "";
}

/// Is the index mapped by this connection? Asked for one that is not, SQLite would make it.
bool SharesWal(sqlite3* db, const std::string& file) {
    struct stat found {};
    if (file.empty() || stat((file + "-shm").c_str(), &found) != 0 ||
        PragmaText(db, "PRAGMA main.journal_mode") != "wal" ||
        PragmaText(db, "PRAGMA main.locking_mode") != "normal") {
        return false;
    }
    Stmt read(db, "SELECT 1 FROM main.sqlite_schema LIMIT 1");  // opens the WAL
    read.Step();
    return true;
}

std::string Size(int64_t bytes) {
    return bytes < 10'000'000 ? std::to_string(bytes / 1024) + " kB"
                              : std::to_string(bytes / 1048576) + " MB";
}

}  // namespace

std::optional<WalView> LookAtWal(sqlite3* db) {
    const std::string file_name = MainFile(db);
    sqlite3_file* file = nullptr;
    if (!SharesWal(db, file_name) ||
        sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
        file == nullptr || file->pMethods == nullptr || file->pMethods->iVersion < 2 ||
        file->pMethods->xShmMap == nullptr) {
        return std::nullopt;
    }
    void volatile* region = nullptr;
    if (file->pMethods->xShmMap(file, 0, kRegionBytes, 0, &region) != SQLITE_OK ||
        region == nullptr) {
        return std::nullopt;
    }
    const auto* words = static_cast<const volatile uint32_t*>(region);
    WalView wal;
    Stmt page(db, "PRAGMA main.page_size");
    wal.page_bytes = page.Step() ? page.Integer(0) : 0;
    wal.frames = words[kFrames];
    wal.checkpointed = std::min(words[kCheckpointed] + 0, wal.frames);
    for (size_t i = 0; i < wal.marks.size(); ++i) {
        const uint32_t mark = words[kFirstMark + i];
        wal.marks[i] = mark == kUnused ? wal.frames : std::min(mark, wal.frames);
    }
    return wal;
}

std::string PinnedNote(const WalView& wal, uint8_t slots) {
    if (slots == 0 || wal.frames == 0) {
        return "";
    }
    uint32_t oldest = wal.frames;
    for (size_t i = 0; i < wal.marks.size(); ++i) {
        oldest = (slots >> i & 1) != 0 ? std::min(oldest, i == 0 ? 0 : wal.marks[i]) : oldest;
    }
    return "; it sees the WAL up to frame " + std::to_string(oldest) + " of " +
           std::to_string(wal.frames) + ", so " + std::to_string(wal.frames - oldest) +
           " frames (" + Size((wal.frames - oldest) * wal.page_bytes) +
           ") cannot be checkpointed and the WAL (" + Size(wal.frames * wal.page_bytes) +
           ") cannot start over";
}

}  // namespace upkeep::sqlite
