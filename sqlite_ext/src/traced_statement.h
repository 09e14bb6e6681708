// What the trace callback knows of one prepared statement, found out when it is first met.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "named_endpoint.h"
#include "sqlite_api.h"
#include "upkeep/capture/execution_batch.h"
#include "upkeep/capture/statement_table.h"

namespace upkeep::sqlite {

/// What an execution's end can tell about its success, by kind of statement.
enum class Kind : uint8_t {
    kOther,
    kPlainInsert,  // INSERT … VALUES without a conflict clause: it inserts or it fails
    kBegin,        // fails inside a transaction
    kEnd,          // COMMIT, ROLLBACK: fails outside of one; COMMIT can leave it open
};

/// A text, kept whole where it is short, else as two hashes and its length.
class TextMark {
  public:
    TextMark() = default;
    explicit TextMark(std::string_view text);
    bool Is(const char* text) const {
        return bytes_ <= kWhole ? strcmp(text_.c_str(), text) == 0 : IsLong(text);
    }

  private:
    bool IsLong(const char* text) const;

    static constexpr size_t kWhole = 4096;
    std::string text_;
    size_t bytes_ = 0;
    uint64_t hashes_[2] = {};
};

/// Counters of a prepared statement. They belong to the application, so nobody resets them here;
/// they are 32 bits wide and wrap.
struct StatementWork {
    uint32_t runs = 0;
    uint32_t scans = 0;
    uint32_t sorts = 0;
};

struct TracedStatement {
    TextMark text;
    int64_t fingerprint = 0;
    capture::Operation operation = capture::Operation::kOther;
    Kind kind = Kind::kOther;
    bool is_own = false;  // names something of upkeep's: not captured
    bool has_columns = false;
    std::string tables;             // as in StatementInfo, for a store that forgets the statement
    std::vector<uint32_t> strings;  // words in double quotes that are literals
    NamedEndpoint endpoint;         // that its comments tell
    uint32_t sample_resets = 0;  // Capture::sample_resets when it last left its values or was met

    // While it runs.
    bool is_open = false;
    bool is_stored = false;  // an execution of it is in the store, as it was last seen
    bool is_top_level = true;
    bool ran_trigger = false;
    bool began_in_transaction = false;  // of those that are no kOther
    bool knows_steps = false;
    uint32_t steps_before = 0;
    uint64_t began_ns = 0;
    uint64_t rows = 0;
    uint64_t rows_told = 0;  // to the N+1 detector, while it is open
    StatementWork before;    // counters of the statement when it began

    StatementWork seen;  // the same at its last end; they stand still until it runs again

    // Counted and not yet in the store; under Tracer's hold.
    capture::StatementKey batch_key;
    capture::ExecutionBatch batch;
};

/// The entry of a statement not met before. `normalized` is for whoever keeps its text.
TracedStatement Describe(sqlite3_stmt* stmt, std::string_view sql, std::string* normalized);

/// Did the execution that ends now fail? SQLite does not show a trace callback the result, so only
/// what follows from other facts: a lock that was not had (the statement has neither rows nor an
/// end), a plain INSERT that inserted nothing, BEGIN and COMMIT that changed nothing.
/// Returns the result code's name, or nullptr.
const char* FailureOf(sqlite3* db, sqlite3_stmt* stmt, const TracedStatement& statement);

}  // namespace upkeep::sqlite
