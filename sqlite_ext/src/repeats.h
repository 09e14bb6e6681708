// The N+1 detector of one connection, fed with its statements by the trace callback.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "capture_memory.h"
#include "traced_statement.h"
#include "upkeep/capture/n_plus_one.h"

namespace upkeep::sqlite {

class Repeats {
  public:
    /// A row was read. Its statement may still be open when those begin that its rows cause.
    void SawRow(sqlite3_stmt* stmt) { last_row_ = stmt; }
    /// The statement whose row came last, or nullptr; it may be gone.
    sqlite3_stmt* last_row() const { return last_row_; }

    /// Rows that a statement gave and that was open while another began.
    void NotePart(Capture& capture, const capture::StatementKey& key, TracedStatement& open,
                  int64_t now_us);
    /// A statement of the application's ended well.
    void Note(Capture& capture, const capture::StatementKey& key, sqlite3_stmt* stmt,
              const TracedStatement& statement, const capture::Execution& execution);
    /// The connection ends, or capture does.
    void End(Capture& capture, uint32_t database);

  private:
    capture::Detector detector_;
    sqlite3_stmt* last_row_ = nullptr;
};

}  // namespace upkeep::sqlite
