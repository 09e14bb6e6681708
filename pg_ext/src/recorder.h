// From what a hook saw to the store: the half of capture that touches the core. Nothing here calls
// the server or lets an exception out; a failure of ours is counted and the statement goes on.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"
#include "shmem.h"
#include "unfinished.h"
#include "upkeep/capture/n_plus_one.h"
#include "upkeep/capture/normalize.h"

namespace upkeep::pg {

/// Text of a statement as the parser saw it; `offsets` of its constants as the jumble tells them
/// (unsorted, of `source`), nullptr: unknown, all literals are masked.
struct SourceText {
    const char* source;
    int length;
    const int* offsets;
    int offset_count;
    int highest_parameter;
    const capture::TextNote* notes = nullptr;  // ascending
    int note_count = 0;
};

/// Key of a statement that runs here and now, but for the parts that are given. `endpoint`:
/// see endpoint.h.
capture::StatementKey KeyFor(uint64_t fingerprint, bool top_level, Oid user,
                             uint32_t endpoint) noexcept;

/// True: known and counted. False: call CountNew.
bool CountKnown(const capture::StatementKey& key, const capture::Execution& execution) noexcept;
/// `tables`: names separated by '\n'. False: it was not counted (it asks upkeep itself).
bool CountNew(const capture::StatementKey& key, capture::Operation operation, const char* tables,
              const capture::Execution& execution) noexcept;
/// Time of planning alone. It waits for the execution that nearly always comes next, and is added
/// to the statement without one when another is planned.
void CountPlanning(uint64_t fingerprint, bool top_level, Oid user, uint32_t endpoint,
                   uint64_t ns) noexcept;
/// The time that waits for this statement, which is the caller's now; 0: none.
uint64_t TakePlanning(uint64_t fingerprint, bool top_level, Oid user) noexcept;
/// An error that belongs to no statement.
void CountNotExecuted(const char* sqlstate, Oid user) noexcept;

/// Texts are kept per user: `user` is who sent it, also where an error left another role in force.
bool TextIsKept(uint64_t fingerprint, Oid user) noexcept;
/// May the text of a statement that nobody knows wait until it runs again? Where many statements
/// come once only, masking and keeping each text would cost more than all else, for texts that push
/// each other out. False while there is room, and for what may be a call of ours.
bool MayTextWait(const capture::StatementKey& key, const char* text, int length) noexcept;
/// Does the store count it just now?
bool IsCounted(const capture::StatementKey& key) noexcept;
/// Took a statement so long that its text and its values are worth keeping at once?
inline bool IsWorthKeeping(uint64_t ns) {
    return ns >= 1000000;
}
/// Is there room for the values of one more statement, or are its own there?
bool MaySampleNow() noexcept;
bool HasSample(const capture::StatementKey& key) noexcept;
void KeepText(uint64_t fingerprint, Oid user, const SourceText& text) noexcept;
/// A text that is shown as it is (a statement that may hold a password: its tag only).
void KeepPlainText(uint64_t fingerprint, Oid user, const char* text) noexcept;

/// One slow statement. Any text may be nullptr. `plan`: what EXPLAIN (FORMAT JSON) printed.
struct SlowInput {
    capture::SlowFields fields;
    const char* application_name;
    const char* client_addr;
    const char* error_code;
    const char* wait_event;
    const char* parameters;
    const char* plan;
    const UnfinishedNodes* unfinished;  // of one that failed, instead of `plan`
    bool keeps_literals;
};
void KeepSlow(const SlowInput& input) noexcept;

/// The N+1 detector, see hook_n_plus_one.h. `values`: of the statement, or nullptr: not wanted.
struct StatementValues {
    uint64_t hash;
    const char* text;  // as it was sent
    int length;
};
void FeedStatement(const capture::Finished& statement, const StatementValues* values) noexcept;
void FeedPart(const capture::Finished& statement) noexcept;
void EndDetectorScope() noexcept;
/// Of a DECLARE: fingerprint of the cursor's query, which has none of the server's; 0: not found.
uint64_t KeepCursorQuery(Oid user, const char* declare, int length) noexcept;
/// Is it this execution's turn to leave its values behind?
bool IsSampleDue(uint64_t ns) noexcept;
/// Keeps the statement's text with the values that it ran with. `parameters`: SQL literals of $1,
/// $2 …; offsets of `text` are not looked at.
void KeepSample(const capture::StatementKey& key, const SourceText& text,
                const char* const* parameters, int parameter_count) noexcept;

void CountOwnError() noexcept;

}  // namespace upkeep::pg
