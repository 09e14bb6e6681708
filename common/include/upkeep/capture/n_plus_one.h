// Finds reads that are made once for each row of another read (N+1), and reads that are repeated
// without need, while a session's statements go by. Fixed memory, no allocation, no clock.
//
// The rule. A *source* is a SELECT that returned two rows or more. A *child* is another SELECT that
// ran at least `threshold` (and three) times after it, in the same scope, and passes all of these:
// * No more often than twice the source's rows (two relations to one table use one statement). What
//   runs far more often is not driven by that source. A source that is itself run again and again
//   (the middle of a two-level nest) counts with the sum of its rows; then the child has to run
//   between two of its runs no more often than the first of them had rows, at least once twice or
//   more, and for at least half of its rows: else the two are neighbours under one parent, A B A B.
// * Of several sources that pass, the one whose rows the count matches best is the parent.
// * It reads a table of the application: SELECT 1, nextval() and catalogs are none of its concern.
// * It is no page of its own (OFFSET other than 0, or LIMIT with a comparison and every page
// equally full): a
//   page is asked for because of the page before, which is the same statement.
// * A statement with a list of values (IN, ANY) is a batch, and passes once it has run more often
//   than a quarter of the rows: eager loading in batches never does.
// * Most runs follow the statement before within 50 ms. Polling waits; and where the application
//   works longer than that for each row, the round trip is not what it suffers from.
// Values that differ from run to run make an `n_plus_one`; where most runs have the values of the
// run before, it is a `repeated_read`. A write in between makes reading again no repetition.
// INSERT, UPDATE and DELETE are never children: batches of writes are another matter.
//
// A scope ends at COMMIT and ROLLBACK, when the endpoint changes, and after a second without a
// statement: requests that a pool sends over one connection are not each other's children. Within
// autocommit that pause is all there is to go by, so pooled requests in autocommit should be told
// apart by endpoint.
//
// What is found is told at once, not at the scope's end: a session may stay idle for hours. Later
// statements may show another parent or none; then it is taken back (and told anew).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>

#include "upkeep/capture/finding_table.h"
#include "upkeep/capture/statement_table.h"

namespace upkeep::capture {

/// A client's statement that ended well.
struct Finished {
    int64_t fingerprint = 0;
    Operation operation = Operation::kOther;
    uint32_t user = 0;
    uint32_t endpoint = 0;  // 0: none
    uint64_t rows = 0;
    uint64_t duration_ns = 0;
    int64_t ended_us = 0;
};

/// What a suspected child's text tells.
struct ChildText {
    bool reads_table = false;  // false: no finding, whatever else
    bool may_be_page = false;
    bool is_page = false;  // for certain
    bool has_list = false;
};

/// Where findings go, and what can be asked about a statement. Called rarely: at a finding and each
/// further repeat of it. Implementations may allocate; they may not call the detector.
class FindingPort {
  public:
    virtual ChildText TextOf(const Finished& child) = 0;
    virtual void Add(const FindingKey& key, const FindingTotals& totals) = 0;
    virtual void TakeBack(const FindingKey& key, const FindingTotals& totals) = 0;

  protected:
    ~FindingPort() = default;
};

/// One session's. Plain data: a copy is a copy.
class Detector {
  public:
    static constexpr uint32_t kSources = 8;
    static constexpr uint32_t kChildren = 16;
    static constexpr int64_t kScopePauseUs = 1'000'000;
    static constexpr int64_t kPauseUs = 50'000;

    /// False: Note would do nothing. Meant to be asked for every statement: three comparisons.
    bool HasWork(Operation operation, uint64_t rows) const {
        return is_active_ || (rows >= 2 && operation == Operation::kSelect);
    }
    /// The same without knowing the operation.
    bool MayHaveWork(uint64_t rows) const { return is_active_ || rows >= 2; }
    /// In a scope: statements that are no source are of interest too.
    bool is_active() const { return is_active_; }
    /// Does Note want a hash of this statement's values? They cost the host something.
    bool WantsValues(const Finished& statement) const;
    /// A statement ended. `threshold` > 0.
    void Note(const Finished& statement, std::optional<uint64_t> values, uint32_t threshold,
              FindingPort& port);
    /// A statement gave `rows` rows and is still open (a cursor, a portal): it is a source by now.
    /// Its end is noted as any other, and does not add to its rows.
    void NotePart(const Finished& statement, FindingPort& port);
    /// COPY FROM, CALL and the like: what was read may have changed.
    void NoteWrite() { ++writes_; }
    /// COMMIT, ROLLBACK, DISCARD.
    void EndScope(FindingPort& port);

  private:
    struct Source {
        int64_t fingerprint = 0;
        uint64_t rows = 0;       // of all its runs
        uint64_t last_rows = 0;  // of the last one
        uint64_t met_at = 0;     // statement number of the first run since it has this place
        uint64_t began_at = 0;   // … of the last one's begin
        uint64_t ran_at = 0;     // … and end
        uint64_t used_at = 0;    // … or of its last child
        uint32_t runs = 0;
        uint32_t epoch = 0;    // which of the place's sources it is
        bool is_open = false;  // its end is still to come
    };
    /// A child's runs since a source was first met. See PairOf.
    struct Pair {
        uint64_t ns = 0;
        uint32_t epoch = 0;   // of the source; another one's: nothing of this is true any more
        uint32_t at_run = 0;  // runs of the source that `since` is of; others: it is 0 by now
        uint32_t runs = 0;
        uint32_t since = 0;      // the source's last run
        uint32_t most = 0;       // of `since`
        bool is_beyond = false;  // `since` once was more than the source's run had rows
    };
    struct Child {
        uint64_t values = 0;
        uint64_t writes = 0;  // writes_ at its last run
        uint64_t ran_at = 0;
        uint64_t first_ns = 0;
        uint64_t first_rows = 0;
        uint64_t last_rows = 0;
        uint32_t first_empty = 0;  // empty_ at its first run
        uint32_t runs = 0;
        uint32_t pauses = 0;  // of its runs that came after one
        uint32_t steps = 0;   // runs whose values could be compared with those before
        uint32_t changes = 0;
        bool has_values = false;
        bool is_uneven = false;  // a run followed one with another number of rows than the first's
        bool is_asked = false;   // `text` is known
        bool is_told = false;    // a finding under way: its key and what was added
        ChildText text;
        uint32_t parent = 0;
        FindingKey key;
        FindingTotals told;
    };

    void Enter(const Finished& statement, FindingPort& port);
    uint32_t FindChild(int64_t fingerprint) const;
    uint32_t FindSource(int64_t fingerprint) const;
    uint32_t ChildOf(int64_t fingerprint, FindingPort& port);
    void RunChild(const Finished& statement, std::optional<uint64_t> values, bool was_paused,
                  uint32_t threshold, FindingPort& port);
    void RunPairs(uint32_t child, const Finished& statement);
    void CompareValues(Child& child, std::optional<uint64_t> values, FindingPort& port);
    void RunSource(const Finished& statement, bool is_part, FindingPort& port);
    /// What holds of the child and the source now. A source that begins or runs again so changes no
    /// child, and a child's first run no pair: nearly none of them ever matters.
    Pair PairOf(uint32_t child, uint32_t source) const;
    bool IsNested(int64_t fingerprint, bool is_part) const;
    uint32_t PlaceForSource(FindingPort& port);
    void DropStale(FindingPort& port);
    static uint64_t StaleAt(const Source& source);
    void NoteEmpty(uint32_t source);
    void Forget(uint32_t source, FindingPort& port);
    void Judge(uint32_t place, const Finished& statement, uint32_t threshold, FindingPort& port);
    uint32_t BestSource(uint32_t place, uint32_t threshold) const;
    double Fit(uint32_t child, uint32_t source, uint32_t threshold) const;
    void Close(Child& child, FindingPort& port);
    void StartAnew(Child& child, FindingPort& port);

    Source sources_[kSources];
    int64_t fingerprints_[kChildren] = {};  // of the children: all that most look-ups read
    Child children_[kChildren];
    Pair pairs_[kChildren][kSources];  // of children that ran twice or more
    uint32_t child_count_ = 0;         // the first so many are in use
    mutable uint32_t found_ = 0;       // the child that was looked up last
    uint32_t live_ = 0;                // sources in use, a bit each
    uint32_t empty_ = 0;               // … whose last run had no rows
    uint64_t stale_at_ = UINT64_MAX;   // number_ up to which no source is stale
    uint64_t number_ = 0;              // of the statement
    uint64_t writes_ = 0;
    int64_t ended_us_ = 0;
    uint32_t endpoint_ = 0;
    uint32_t epochs_ = 0;
    bool is_active_ = false;
};
static_assert(std::is_trivially_copyable_v<Detector>);

}  // namespace upkeep::capture
