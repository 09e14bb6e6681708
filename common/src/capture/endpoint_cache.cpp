// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/endpoint_cache.h"

#include <algorithm>
#include <cstring>

namespace upkeep::capture {

namespace {

constexpr uint16_t kUsesPerTouch = 64;

uint64_t HashOfBytes(std::string_view bytes) {
    uint64_t hash = bytes.size();
    for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
        uint64_t word = 0;
        std::memcpy(&word, bytes.data(), 8);
        hash = (hash ^ word) * 0x9FB21C651E98DF25ULL;
        hash ^= hash >> 32;
    }
    uint64_t rest = 0;
    std::memcpy(&rest, bytes.data(), bytes.size());
    return Mix(hash ^ rest);
}

}  // namespace

uint32_t EndpointCache::IdOf(EndpointNames& names, std::string_view statement, SqlDialect dialect) {
    if (!MayCarryTag(statement)) {
        return EndpointNames::kNone;
    }
    EdgeComments comments(statement, dialect);
    for (std::string_view one = comments.Next(); !one.empty(); one = comments.Next()) {
        const uint32_t id = IdOfComment(names, one);
        if (id != EndpointNames::kNone) {
            return id;
        }
    }
    return EndpointNames::kNone;
}

uint32_t EndpointCache::IdOfComment(EndpointNames& names, std::string_view comment) {
    Entry& entry = entries_[HashOfBytes(comment) % kEntries];
    if (entry.size == comment.size() && std::equal(comment.begin(), comment.end(), entry.comment) &&
        names.IsCurrent(entry.id)) {
        if (++entry.uses % kUsesPerTouch == 0) {
            names.Touch(entry.id);
        }
        return entry.id;
    }
    EndpointName name;
    const uint32_t id =
        ReadTag(comment, &name) ? names.IdOf(name.view()) : uint32_t{EndpointNames::kNone};
    if (comment.size() <= kMostBytes) {
        entry.id = id;
        entry.size = static_cast<uint16_t>(comment.size());
        entry.uses = 0;
        std::copy(comment.begin(), comment.end(), entry.comment);
    }
    return id;
}

}  // namespace upkeep::capture
