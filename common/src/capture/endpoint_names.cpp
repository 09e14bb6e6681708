// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/endpoint_names.h"

#include <array>
#include <bit>
#include <map>
#include <unordered_map>
#include <utility>

#include "upkeep/base/text.h"

namespace upkeep::capture {

namespace {

constexpr uint64_t kSightingsToEnter = 3;
constexpr uint64_t kRefusalsBetween = 64;
constexpr uint64_t kStampMask = (uint64_t{1} << 24) - 1;

auto Is(uint64_t hash, std::string_view name) {
    return [=](const EndpointRecord& record) {
        return record.head.hash == hash && record.name.Is(name);
    };
}

/// A name as it is kept, in memory of its own.
struct KeptName {
    std::array<char, kMostEndpointBytes> bytes;
    size_t size = 0;

    explicit KeptName(std::string_view name) {
        for (const char c : Clip(name, kMostEndpointBytes)) {
            const auto code = static_cast<unsigned char>(c);
            bytes.at(size++) = code < 0x20 || code == 0x7F ? ' ' : c;
        }
    }
    std::string_view view() const { return {bytes.data(), size}; }
};

}  // namespace

void EndpointNames::Format(uint32_t capacity) {
    Put(header_->refused, 0);
    for (uint64_t& sighting : header_->sightings) {
        Put(sighting, 0);
    }
    SlotMap::Format(capacity);
}

uint32_t EndpointNames::RecordBits() const {
    return static_cast<uint32_t>(std::bit_width(capacity()));
}

SlotRef EndpointNames::RefOf(uint32_t id) const {
    const uint32_t bits = RecordBits();
    return {.record = (id - kFirst) & ((uint32_t{1} << bits) - 1),
            .generation = (id - kFirst) >> bits};
}

uint32_t EndpointNames::IdOf(std::string_view name) {
    if (name.empty()) {
        return kNone;
    }
    const KeptName kept(name);
    if (kept.view() == kOtherName) {
        return kOther;
    }
    const auto hash = Mix(static_cast<uint64_t>(Fingerprint(kept.view())));
    SlotRef found = Find(hash, Is(hash, kept.view()));
    bool is_new = false;
    if (!found && (HasFree() || Admits(hash))) {
        found = FindOrClaim(hash, Is(hash, kept.view()), [&](EndpointRecord& record) {
            record.name.Write(kept.view());
            Put(record.touches, 0);
            is_new = true;
        });
    }
    if (!found) {
        Bump(header_->refused, 1);
        return kOther;
    }
    Bump(At(found.record).touches, 1);
    const bool has_id = found.generation <= LastGeneration();
    if (!is_new || found.generation < LastGeneration()) {
        Unpin(found);  // else it is never given up, so that no generation comes twice
    }
    Bump(header_->refused, has_id ? 0 : 1);
    return has_id ? IdFor(found) : kOther;
}

bool EndpointNames::Admits(uint64_t hash) {
    uint64_t& word = header_->sightings[hash % EndpointHeader::kSightings];
    const uint64_t now = Get(header_->refused) & kStampMask;
    const uint64_t mine = hash >> 32 << 32;
    uint64_t seen = Get(word);
    uint64_t sightings = 1;
    if ((seen ^ mine) >> 32 == 0 && (seen & 0xFF) != 0) {
        const uint64_t since = (now - (seen >> 8 & kStampMask)) & kStampMask;
        if (since < kRefusalsBetween) {
            return false;
        }
        sightings = (seen & 0xFF) + 1;
    }
    if (sightings >= kSightingsToEnter) {
        // Whoever loses is refused this time and finds the winner's record the next.
        return Swap(word, seen, 0, std::memory_order_relaxed);
    }
    Swap(word, seen, mine | now << 8 | sightings, std::memory_order_relaxed);
    return false;
}

void EndpointNames::Touch(uint32_t id) {
    if (id < kFirst) {
        return;
    }
    const SlotRef ref = RefOf(id);
    if (PinExact(ref)) {
        Bump(At(ref.record).touches, 64);
        Unpin(ref);
    }
}

std::string EndpointNames::NameOf(uint32_t id) {
    if (id == kNone) {
        return {};
    }
    const SlotRef ref = id == kOther ? SlotRef{} : RefOf(id);
    if (!PinExact(ref)) {
        return std::string(kOtherName);
    }
    struct Unpinner {  // also if the copy runs out of memory
        EndpointNames* names;
        SlotRef pinned;
        ~Unpinner() { names->Unpin(pinned); }
    } unpin{this, ref};
    return At(ref.record).name.Read();
}

void MergeEndpoints(EndpointNames& names, std::vector<StatementSnapshot>* statements) {
    std::unordered_map<uint32_t, uint32_t> id_of_id;
    std::map<std::string, uint32_t> id_of_name;
    std::unordered_multimap<uint64_t, size_t> places;
    std::vector<StatementSnapshot> merged;
    merged.reserve(statements->size());
    for (StatementSnapshot& one : *statements) {
        uint32_t& endpoint = one.key.endpoint;
        const auto [known, is_new] = id_of_id.try_emplace(endpoint, endpoint);
        if (is_new && endpoint != EndpointNames::kNone) {
            const std::string name = names.NameOf(endpoint);
            const uint32_t id = name == kOtherName ? EndpointNames::kOther : endpoint;
            known->second = id_of_name.try_emplace(name, id).first->second;
        }
        endpoint = known->second;
        const uint64_t hash = HashOf(one.key);
        const auto [from, to] = places.equal_range(hash);
        const auto same = std::find_if(
            from, to, [&](const auto& place) { return merged[place.second].key == one.key; });
        if (same != to) {
            merged[same->second].Merge(one);
        } else {
            places.emplace(hash, merged.size());
            merged.push_back(std::move(one));
        }
    }
    *statements = std::move(merged);
}

}  // namespace upkeep::capture
