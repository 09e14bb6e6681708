// What capture counted, as the bytes of a file that outlives the server, and back.
//
//   magic, version | section … section
//   section = kind, bytes, CRC-32C of all of it (12 bytes) | items
//   kinds, in this order: times, endpoints, counters, statements (most work first), texts,
//                         slow statements (oldest first), findings (most repeats first), end (what
//                         was written, to be compared)
//
// Nothing here does I/O: Saver makes the next bytes, Loader takes them in any pieces. Both hold one
// section at a time (at most kMostSectionBytes), Saver also a word or two per statement. A section
// is loaded as a whole or not at all, and after the first damaged one nothing is. Sections of a
// kind that this version does not know are passed over.
//
// Not in it: bound parameters, samples and the literals of plans, whatever is set; counts
// of what went wrong (StoreStatus), which belong to one life of the server.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "upkeep/capture/store.h"

namespace upkeep::capture {

inline constexpr size_t kMostSectionBytes = 256 * 1024;
inline constexpr uint32_t kSavedVersion = 1;

enum class SavedKind : uint32_t {
    kTimes = 1,
    kEndpoints,
    kCounters,
    kStatements,
    kTexts,
    kSlow,
    kFindings,
    kEnd,
};

class Packer;
class Unpacker;

class Saver {
  public:
    /// `store` must outlive this. Others may go on counting: what they add meanwhile is in the file
    /// or not.
    Saver(Store& store, int64_t now_us);
    Saver(const Saver&) = delete;
    Saver& operator=(const Saver&) = delete;
    ~Saver();

    /// The next bytes of the file; empty: that was all.
    std::string Next();

  private:
    void FindEndpoints();
    std::string Times();
    std::string Endpoints();
    std::string Counters();
    std::string Statements();
    std::string Texts();
    std::vector<StatementKey> TextOwners();
    std::string SlowOnes();
    std::string Findings();
    std::string End();

    Store& store_;
    int64_t now_us_;
    int step_ = 0;
    size_t at_ = 0;  // of the kind that is being written
    uint64_t slow_from_ = 0;
    uint64_t slow_until_ = 0;
    uint64_t items_ = 0;
    std::vector<uint32_t> records_;    // statements, most work first
    std::vector<uint32_t> endpoints_;  // those in use
    std::vector<CounterSnapshot> counters_;
    std::vector<FindingSnapshot> findings_;  // most repeats first
    std::vector<StatementKey> texts_;        // whose texts are written, each once
};

/// What became of a file.
struct LoadResult {
    uint64_t statements = 0;
    uint64_t left_out = 0;  // statements, texts and findings for which this store is too small
    int64_t saved_us = 0;   // since 1970 UTC; 0: not told
    bool is_other_version = false;
    std::string problem;  // empty: all of it was read; else where and what
};

class Loader {
  public:
    /// `store` has just been formatted, nobody else uses it yet, and it outlives this.
    explicit Loader(Store& store);

    void Feed(std::string_view bytes);
    /// False: there is no use in reading on.
    bool WantsMore() const { return result_.problem.empty() && !is_done_; }
    /// To be called at the end of the file.
    LoadResult Finish();

  private:
    /// Takes one piece off the front of what is buffered. False: it is not there as a whole, or
    /// wrong.
    bool TakeHeader();
    bool TakeSection();
    bool Apply(SavedKind kind, std::string_view items);
    bool LoadTimes(Unpacker& in);
    bool LoadEndpoints(Unpacker& in);
    bool LoadCounters(Unpacker& in);
    bool LoadStatements(Unpacker& in);
    bool LoadTexts(Unpacker& in);
    bool LoadSlow(Unpacker& in);
    bool LoadFindings(Unpacker& in);
    bool LoadEnd(Unpacker& in);
    uint32_t EndpointOf(uint32_t saved) const;
    void RestoreStatement(StatementSnapshot& snapshot);

    Store& store_;
    std::string buffer_;
    uint64_t consumed_ = 0;
    bool has_header_ = false;
    bool is_done_ = false;
    uint64_t items_ = 0;
    uint64_t records_left_;
    uint64_t pages_left_;
    uint64_t texts_left_;
    uint64_t chunks_left_;
    uint64_t findings_left_;
    std::unordered_map<uint32_t, uint32_t> endpoints_;  // saved id -> id here
    LoadResult result_;
};

}  // namespace upkeep::capture
