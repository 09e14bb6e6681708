// SPDX-License-Identifier: PostgreSQL
#include "held.h"

#include <cstring>

#include "compat.h"
#include "pg.h"
#include "upkeep/sessions/rule.h"

extern "C" {
#include "nodes/parsenodes.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/portal.h"
}

namespace upkeep::pg {

namespace {

bool is_listening = false;
bool stops_listening = false;  // when the transaction commits
bool is_watching = false;      // transactions' ends

constexpr int kCursors = 16;
char held_cursors[kCursors][NAMEDATALEN];
bool has_more_cursors = false;

bool IsHeld(const char* name) {
    const Portal portal = name[0] == '\0' ? nullptr : GetPortalByName(name);
    return portal != nullptr && (portal->cursorOptions & CURSOR_OPT_HOLD) != 0;
}

void NoteCursor(const char* name) {
    for (char* room : held_cursors) {
        if (!IsHeld(room) || strcmp(room, name) == 0) {
            strlcpy(room, name, NAMEDATALEN);
            return;
        }
    }
    has_more_cursors = true;  // until the session ends
}

void TransactionEnded(XactEvent event, void*) {
    if (event == XACT_EVENT_COMMIT && stops_listening) {
        is_listening = false;
    }
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT) {
        stops_listening = false;
    }
}

void NoteListening(bool listens) {
    if (!is_watching) {
        RegisterXactCallback(TransactionEnded, nullptr);  // only sessions that listen pay for it
        is_watching = true;
    }
    is_listening = is_listening || listens;
    stops_listening = !listens;
}

/// Outside of a transaction it is the session's; within one the two kinds look alike. Others move
/// our fast-path locks into these lists, so each is looked at under its lock, if that is free: the
/// session holds none itself while it waits. Nullopt: not free.
std::optional<bool> HasAdvisoryLock() {
    constexpr int kTries = 1000;  // such a lock is held for microseconds
    bool found = false;
    for (int i = 0; i < NUM_LOCK_PARTITIONS; ++i) {
        LWLock* partition = LockHashPartitionLockByIndex(i);
        bool is_free = false;
        for (int tries = 0; !is_free && tries < kTries; ++tries) {
            is_free = LWLockConditionalAcquire(partition, LW_SHARED);
        }
        if (!is_free) {
            return std::nullopt;
        }
        found = found || HasAdvisoryLockIn(i);
        LWLockRelease(partition);
    }
    return found;
}

}  // namespace

std::optional<uint8_t> HeldBySession() {
    using sessions::Spare;
    bool has_cursor = has_more_cursors;
    for (const char* name : held_cursors) {
        has_cursor = has_cursor || IsHeld(name);
    }
    const std::optional<bool> has_lock = HasAdvisoryLock();
    if (!has_lock) {
        return std::nullopt;
    }
    return static_cast<uint8_t>((is_listening ? Spare::kListening : 0) |
                                (*has_lock ? Spare::kSessionLock : 0) |
                                (OidIsValid(MyProc->tempNamespaceId) ? Spare::kTempTable : 0) |
                                (has_cursor ? Spare::kHeldCursor : 0));
}

void NoteWhatIsHeld(const Node* statement) {
    switch (nodeTag(statement)) {
        case T_ListenStmt:
            NoteListening(true);
            break;
        case T_UnlistenStmt:  // of one channel: others may be left
            if (is_listening &&
                reinterpret_cast<const UnlistenStmt*>(statement)->conditionname == nullptr) {
                NoteListening(false);
            }
            break;
        case T_DiscardStmt:
            if (is_listening &&
                reinterpret_cast<const DiscardStmt*>(statement)->target == DISCARD_ALL) {
                NoteListening(false);
            }
            break;
        case T_DeclareCursorStmt: {
            const auto* cursor = reinterpret_cast<const DeclareCursorStmt*>(statement);
            if ((cursor->options & CURSOR_OPT_HOLD) != 0) {
                NoteCursor(cursor->portalname);
            }
            break;
        }
        default:
            break;
    }
}

}  // namespace upkeep::pg
