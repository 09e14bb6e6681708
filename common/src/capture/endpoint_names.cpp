// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/endpoint_names.h"

#include "upkeep/base/text.h"
#include "upkeep/capture/normalize.h"

namespace upkeep::capture {

void EndpointNames::Format(uint32_t capacity) {
    *header_ = {};
    header_->capacity = capacity;
    for (uint32_t i = 0; i < capacity; ++i) {
        records_[i] = {};
    }
}

uint32_t EndpointNames::IdOf(std::string_view name) {
    name = Clip(name, kMostEndpointBytes);
    if (name.empty()) {
        return kNone;
    }
    const uint64_t hash = (Mix(static_cast<uint64_t>(Fingerprint(name))) | 2) & ~uint64_t{1};
    for (uint32_t i = 0; i < header_->capacity; ++i) {
        const auto at = static_cast<uint32_t>((hash + i) % header_->capacity);
        EndpointRecord& record = records_[at];
        uint64_t seen = Get(record.word, std::memory_order_acquire);
        if (seen == 0 && Swap(record.word, seen, hash, std::memory_order_acq_rel)) {
            record.name.Write(name);
            Put(record.word, hash | 1, std::memory_order_release);
            return kFirst + at;
        }
        const bool may_be = (seen & ~uint64_t{1}) == hash;
        if (may_be && ((seen & 1) == 0 || record.name.Is(name))) {
            return kFirst + at;
        }
    }
    Bump(header_->refused, 1);
    return kOther;
}

std::string EndpointNames::NameOf(uint32_t id) const {
    if (id == kNone) {
        return {};
    }
    if (id < kFirst || id - kFirst >= header_->capacity) {
        return "other";
    }
    const EndpointRecord& record = records_[id - kFirst];
    return (Get(record.word, std::memory_order_acquire) & 1) != 0 ? record.name.Read() : "other";
}

}  // namespace upkeep::capture
