// How far calls of the advisor are, in shared memory: one slot for each backend, written by its
// owner alone, without a lock, and read by whoever asks for advise_progress. Only where the library
// is preloaded. A slot counts while its backend lives: a session that ends in the middle of a call
// unwinds nothing.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstddef>
#include <vector>

#include "upkeep/advisor/what_if.h"

namespace upkeep::pg {

size_t ProgressBytes();
/// Takes the block of ProgressBytes() in shared memory; `found`: it is in use already.
void AttachProgress(void* block, bool found);
bool CanShowProgress();

/// The row of one call. Of calls inside each other (planning may call a function that asks for
/// advice) the outer one is shown.
class ProgressRow {
  public:
    ProgressRow() = default;
    ~ProgressRow();
    ProgressRow(const ProgressRow&) = delete;
    ProgressRow& operator=(const ProgressRow&) = delete;

    void Tell(const advisor::Progress& progress);

  private:
    bool is_shown_ = false;
};

struct ProgressView {
    int pid = 0;
    advisor::Progress progress;
    double elapsed_ms = 0;
};

/// The calls under way that the caller may see: those of roles whose rights he has, with
/// pg_read_all_stats all.
std::vector<ProgressView> VisibleProgress();

}  // namespace upkeep::pg
