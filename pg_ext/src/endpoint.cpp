// SPDX-License-Identifier: PostgreSQL
#include "endpoint.h"

#include "shmem.h"
#include "upkeep/capture/endpoint_cache.h"

namespace upkeep::pg {

using capture::EndpointNames;

namespace {

constexpr auto kDialect = capture::SqlDialect::kPostgres;

capture::EndpointCache tags;
uint32_t client_endpoint = EndpointNames::kNone;

/// The statement, with the comments behind its semicolon if it is the source's last.
std::string_view TextOf(const SourcePlace& place) {
    if (place.source == nullptr) {
        return {};
    }
    const char* text = place.source + (place.location > 0 ? place.location : 0);
    if (place.location < 0 || place.length <= 0) {
        return text;
    }
    const char* rest = text + place.length;
    while (capture::IsBlankOrEnd(*rest)) {
        ++rest;
    }
    if (*rest == '/' && capture::IsOnlyComments(rest, kDialect)) {
        return text;
    }
    return {text, static_cast<size_t>(place.length)};
}

}  // namespace

uint32_t EndpointOfSetting() noexcept {
    static uint32_t known_changes = UINT32_MAX;
    static uint32_t id = EndpointNames::kNone;
    static uint8_t uses = 0;
    if (known_changes == settings.endpoint_changes && id == EndpointNames::kNone) {
        return id;
    }
    EndpointNames& names = SharedStore()->endpoints();
    if (known_changes != settings.endpoint_changes || !names.IsCurrent(id)) {
        id = settings.endpoint == nullptr ? uint32_t{EndpointNames::kNone}
                                          : names.IdOf(settings.endpoint);
        known_changes = settings.endpoint_changes;
    } else if (++uses % 64 == 0) {
        names.Touch(id);
    }
    return id;
}

uint32_t FindEndpointOf(const SourcePlace& place, int level) noexcept {
    const uint32_t by_setting = EndpointOfSetting();
    if (by_setting != EndpointNames::kNone) {
        return by_setting;
    }
    if (level > 0) {
        return client_endpoint;
    }
    return tags.IdOf(SharedStore()->endpoints(), TextOf(place), kDialect);
}

void SetClientEndpoint(const SourcePlace& place) noexcept {
    client_endpoint = EndpointOf(place, 0);
}

bool LeaveCommentsOut(const char** text, int* length) noexcept {
    const std::string_view whole(*text, static_cast<size_t>(*length));
    if (!capture::MayCarryTag(whole)) {
        return false;
    }
    capture::EdgeComments comments(whole, kDialect);
    while (!comments.Next().empty()) {
    }
    const std::string_view rest = comments.Between();
    *text = rest.data();
    *length = static_cast<int>(rest.size());
    return true;
}

}  // namespace upkeep::pg
