// SPDX-License-Identifier: PostgreSQL
#include "saved_statistics.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "pg.h"
#include "settings.h"
#include "shmem.h"
#include "upkeep/base/time.h"
#include "upkeep/capture/saved_file.h"

extern "C" {
#include "common/controldata_utils.h"
#include "common/file_perm.h"
#include "pgstat.h"
#include "storage/ipc.h"
}

namespace upkeep::pg {

namespace {

constexpr const char* kFile = PGSTAT_STAT_PERMANENT_DIRECTORY "/upkeep.stat";
constexpr const char* kNewFile = PGSTAT_STAT_PERMANENT_DIRECTORY "/upkeep.stat.tmp";
constexpr const char* kFolder = PGSTAT_STAT_PERMANENT_DIRECTORY;

/// What a step came to, as plain data; backends inherit the one of the start by fork.
struct Outcome {
    bool is_trouble;
    bool had_file;
    char text[400];
};
Outcome at_start = {};
bool started_before = false;  // this server, before a crash of one of its processes

/// A file descriptor of this process alone, closed in the end.
class File {
  public:
    File(const char* path, int flags) : fd_(open(path, flags | O_CLOEXEC, pg_file_create_mode)) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { Close(); }
    bool ok() const { return fd_ >= 0; }

    bool Write(std::string_view bytes) const {
        while (!bytes.empty()) {
            const ssize_t wrote = write(fd_, bytes.data(), bytes.size());
            if (wrote < 0 && errno == EINTR) {
                continue;
            }
            if (wrote <= 0) {
                errno = wrote == 0 ? ENOSPC : errno;
                return false;
            }
            bytes.remove_prefix(static_cast<size_t>(wrote));
        }
        return true;
    }
    /// Bytes read, 0 at the end, -1 with errno.
    ssize_t Read(char* room, size_t bytes) const {
        ssize_t got = 0;
        do {
            got = read(fd_, room, bytes);
        } while (got < 0 && errno == EINTR);
        return got;
    }
    bool Sync() const { return !enableFsync || fsync(fd_) == 0; }
    bool Close() {
        const int fd = fd_;
        fd_ = -1;
        return fd < 0 || close(fd) == 0;
    }

  private:
    int fd_;
};

void Tell(Outcome* outcome, bool is_trouble, const char* format, const char* file,
          const char* what) {
    outcome->is_trouble = is_trouble;
    snprintf(outcome->text, sizeof(outcome->text), format, file, what);
}

bool WriteAll(capture::Store& store, const File& file, int64_t now_us) {
    capture::Saver saver(store, now_us);
    for (std::string bytes = saver.Next(); !bytes.empty(); bytes = saver.Next()) {
        if (!file.Write(bytes)) {
            return false;
        }
    }
    return file.Sync();
}

/// The new file under its name, all of it on disk, or the old state.
bool WriteDurably(capture::Store& store, int64_t now_us) {
    File file(kNewFile, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file.ok()) {
        return false;
    }
    if (!WriteAll(store, file, now_us) || !file.Close() || rename(kNewFile, kFile) != 0) {
        const int error = errno;
        unlink(kNewFile);
        errno = error;
        return false;
    }
    // The file is there; if its name cannot be made safe against a power failure, so be it.
    const File folder(kFolder, O_RDONLY | O_DIRECTORY);
    static_cast<void>(folder.ok() && folder.Sync());
    return true;
}

Outcome Save(capture::Store& store, int64_t now_us) noexcept {
    Outcome outcome = {};
    constexpr const char* kFormat = "captured statistics were not saved: file \"%s\": %s";
    try {
        if (!WriteDurably(store, now_us)) {
            Tell(&outcome, true, kFormat, kFile, strerror(errno));
        }
    } catch (const std::exception&) {
        unlink(kNewFile);
        Tell(&outcome, true, kFormat, kFile, "out of memory");
    }
    return outcome;
}

capture::LoadResult ReadAll(capture::Store& store, const File& file) {
    capture::Loader loader(store);
    char room[16384];
    ssize_t got = 0;
    while (loader.WantsMore() && (got = file.Read(room, sizeof(room))) > 0) {
        loader.Feed(std::string_view(room, static_cast<size_t>(got)));
    }
    const int error = errno;
    capture::LoadResult result = loader.Finish();
    if (got < 0) {
        result.problem = std::string("cannot be read: ") + strerror(error);
    }
    return result;
}

void TellLoaded(Outcome* outcome, const capture::LoadResult& result) {
    const std::string count = std::to_string(result.statements);
    if (!result.problem.empty()) {
        const std::string what =
            result.problem + (result.statements > 0 ? "; " + count + " statements were read" : "");
        Tell(outcome, true, "captured statistics were not all loaded: file \"%s\" %s", kFile,
             what.c_str());
        return;
    }
    const std::string left_out = result.left_out == 0
                                     ? std::string()
                                     : "; " + std::to_string(result.left_out) + " found no room";
    const std::string what = count + " statements saved at " +
                             FormatTime(Timestamp{result.saved_us}) + " were loaded" + left_out;
    Tell(outcome, false, "%s%s", "", what.c_str());
}

Outcome Load(capture::Store& store) noexcept {
    Outcome outcome = {};
    outcome.had_file = true;
    constexpr const char* kFormat = "captured statistics were not loaded: file \"%s\": %s";
    try {
        const File file(kFile, O_RDONLY | O_NONBLOCK);  // never waits, whatever stands there
        if (!file.ok()) {
            outcome.had_file = errno != ENOENT;
            if (outcome.had_file) {
                Tell(&outcome, true, kFormat, kFile, strerror(errno));
            }
            return outcome;
        }
        // Before it is read: else, where it cannot be removed, a crash would bring it back.
        if (unlink(kFile) != 0) {
            Tell(&outcome, true, kFormat, kFile, strerror(errno));
            return outcome;
        }
        TellLoaded(&outcome, ReadAll(store, file));
    } catch (const std::exception&) {
        Tell(&outcome, true, kFormat, kFile, "out of memory");
    }
    return outcome;
}

/// Did the last run of this server end in order?
bool EndedInOrder() {
    bool is_whole = false;
    ControlFileData* control = get_controlfile(DataDir, &is_whole);
    const bool in_order = is_whole && (control->state == DB_SHUTDOWNED ||
                                       control->state == DB_SHUTDOWNED_IN_RECOVERY);
    pfree(control);
    return in_order;
}

void LogTrouble(const Outcome& outcome) {
    if (outcome.is_trouble) {
        ereport(LOG, (errmsg("%s", outcome.text)));
    }
}

/// Callback of the server's end. A code other than 0: it ends, or starts anew, after a crash.
void Ending(int code, Datum) {
    if (code == 0 && settings.save && SharedStore() != nullptr) {
        LogTrouble(Save(*SharedStore(), GetCurrentTimestamp() + kPostgresEpochUs));
    }
}

void LoadAtStart() {
    if (!settings.save) {
        Tell(&at_start, false, "%s%s", "", "upkeep.save was off when the server started");
        return;
    }
    at_start = Load(*SharedStore());
    if (!at_start.had_file) {
        const bool in_order = EndedInOrder();
        Tell(&at_start, !in_order, "%s%s", "",
             in_order ? "no statistics were saved before this start"
                      : "captured statistics start anew: the server was not shut down in order");
    }
    LogTrouble(at_start);
}

}  // namespace

LastRun HowTheLastRunEnded() {
    return IsUnderPostmaster ? LastRun::kInOrder
           : started_before  ? LastRun::kRestartedNow
           : EndedInOrder()  ? LastRun::kInOrder
                             : LastRun::kNotInOrder;
}

void KeepStatistics() {
    if (IsUnderPostmaster) {
        return;
    }
    on_shmem_exit(Ending, Datum{0});
    if (!started_before) {
        started_before = true;
        LoadAtStart();
    } else {  // the same postmaster, after a backend crashed: the old shared memory is gone
        Tell(&at_start, true, "%s%s", "",
             "captured statistics start anew: the server restarted after a crash");
        LogTrouble(at_start);
    }
}

const char* KeptReason() {
    return at_start.text;
}

}  // namespace upkeep::pg
