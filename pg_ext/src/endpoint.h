// Which endpoint a statement belongs to: the setting's, else the one that its comments tell, else
// none. What a statement of a client runs inside (functions, triggers) belongs to the client's, and
// its own comments are not asked. May be called in an error handler: nothing here calls the server.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstring>

#include "hook_state.h"
#include "pg.h"

namespace upkeep::pg {

/// Where a statement stands in its source; as PlannedStmt and Query tell it.
struct SourcePlace {
    const char* source;  // nullptr: unknown
    int location;        // negative: unknown
    int length;          // 0: to the end
};

/// Is there certainly no comment at either end of the statement, nor behind its semicolon? A look
/// at few bytes, for the common case; false where it takes more to know.
inline bool IsPlainText(const SourcePlace& place) {
    if (place.source == nullptr || place.location < 0) {
        return false;
    }
    const char* text = place.source + place.location;
    const char* rest = text;
    if (place.length > 0) {
        rest += place.length;
        if (rest[0] != '\0' && (rest[0] != ';' || rest[1] != '\0')) {
            return false;
        }
    } else {
        rest += strlen(text);
    }
    // Letters are behind '0', blanks and slashes before.
    return text[0] >= '0' && rest[-1] > ' ' && rest[-1] != '/';
}

/// EndpointOf where it takes more than a look.
uint32_t FindEndpointOf(const SourcePlace& place, int level) noexcept;
/// Id of the endpoint of a statement that runs now at this level.
inline uint32_t EndpointOf(const SourcePlace& place, int level) {
    return !settings.has_endpoint && level == 0 && IsPlainText(place)
               ? 0
               : FindEndpointOf(place, level);
}
/// The setting's id; 0: it is empty.
uint32_t EndpointOfSetting() noexcept;

/// What now runs inside of this client's statement is to have its endpoint.
void SetClientEndpoint(const SourcePlace& place) noexcept;
/// The same, where somebody will ask: statements inside are captured.
inline void EnterStatement(const SourcePlace& place, int level) {
    if (settings.capture == kCaptureAll && level == 0) [[unlikely]] {
        SetClientEndpoint(place);
    }
}

/// The text without the comments at its ends. False: there are none.
bool LeaveCommentsOut(const char** text, int* length) noexcept;

}  // namespace upkeep::pg
