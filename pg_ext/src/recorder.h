// From what a hook saw to the store: the half of capture that touches the core. Nothing here calls
// the server or lets an exception out; a failure of ours is counted and the statement goes on.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"
#include "shmem.h"

namespace upkeep::pg {

/// Text of a statement as the parser saw it; `offsets` of its constants as the jumble tells them
/// (unsorted, of `source`), nullptr: unknown, all literals are masked.
struct SourceText {
    const char* source;
    int length;
    const int* offsets;
    int offset_count;
    int highest_parameter;
};

/// Key of a statement that runs here and now, but for the parts that are given. `endpoint`:
/// see endpoint.h.
capture::StatementKey KeyFor(uint64_t fingerprint, bool top_level, Oid user,
                             uint32_t endpoint) noexcept;

/// True: known and counted. False: call CountNew.
bool CountKnown(const capture::StatementKey& key, const capture::Execution& execution) noexcept;
/// `tables`: names separated by '\n'.
void CountNew(const capture::StatementKey& key, capture::Operation operation, const char* tables,
              const capture::Execution& execution) noexcept;
/// Time of planning alone; kept for the coming execution if the statement is new.
void CountPlanning(const capture::StatementKey& key, uint64_t ns) noexcept;

/// Texts are kept per user: `user` is who sent it, also where an error left another role in force.
bool TextIsKept(uint64_t fingerprint, Oid user) noexcept;
void KeepText(uint64_t fingerprint, Oid user, const SourceText& text) noexcept;
/// A text that is shown as it is (a statement that may hold a password: its tag only).
void KeepPlainText(uint64_t fingerprint, Oid user, const char* text) noexcept;

/// One slow statement. Any text may be nullptr. `plan`: what EXPLAIN (FORMAT JSON) printed.
struct SlowInput {
    capture::SlowFields fields;
    const char* application_name;
    const char* client_addr;
    const char* error_code;
    const char* parameters;
    const char* plan;
    bool keeps_literals;
};
void KeepSlow(const SlowInput& input) noexcept;

/// Is it this execution's turn to leave its values behind?
bool IsSampleDue(uint64_t ns) noexcept;
/// Keeps the statement's text with the values that it ran with. `parameters`: SQL literals of $1,
/// $2 …; offsets of `text` are not looked at.
void KeepSample(const capture::StatementKey& key, const SourceText& text,
                const char* const* parameters, int parameter_count) noexcept;

void CountOwnError() noexcept;

}  // namespace upkeep::pg
