// Which endpoint a statement belongs to: the setting's, else the one that its comments tell, else
// none. What a statement of a client runs inside (functions, triggers) belongs to the client's, and
// its own comments are not asked. May be called in an error handler: nothing here calls the server.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "hook_state.h"
#include "pg.h"

namespace upkeep::pg {

/// Where a statement stands in its source; as PlannedStmt and Query tell it.
struct SourcePlace {
    const char* source;  // nullptr: unknown
    int location;        // negative: unknown
    int length;          // 0: to the end
};

/// Id of the endpoint of a statement that runs now at this level.
uint32_t EndpointOf(const SourcePlace& place, int level) noexcept;
/// The setting's id; 0: it is empty.
uint32_t EndpointOfSetting() noexcept;

/// What now runs inside of this client's statement is to have its endpoint.
void SetClientEndpoint(const SourcePlace& place) noexcept;
/// The same, where somebody will ask: statements inside are captured.
inline void EnterStatement(const SourcePlace& place, int level) {
    if (settings.capture == kCaptureAll && level == 0) {
        SetClientEndpoint(place);
    }
}

/// The text without the comments at its ends. False: there are none.
bool LeaveCommentsOut(const char** text, int* length) noexcept;

}  // namespace upkeep::pg
