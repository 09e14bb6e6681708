// The routes and actions that statements were tagged with: a dictionary of a fixed size in shared
// memory. Ids stand for names everywhere else. It is filled by whoever may run a statement, so it
// may fill with rubbish, and must get rid of it again:
//
//   id = 2 + (generation of the record << bits | record)      0: none, 1: `other`
//
//   a name comes ── known ──▶ its id
//        │          room ──▶ a new record
//        └─ full ──▶ `other`, counted; sighted three times, 64 refusals apart ──▶ the place of the
//                    record that is used least (slot_map.h), whose generation then ends
//
// So 10^5 names that are met once each push nothing out, and a route that is really in use gets in
// after some hundred statements. The id of a name that gave way reads as `other`: an id never shows
// another's name, whoever still holds it. A record in its last generation stays pinned, its name is
// final: generations never begin anew. Concurrency: slot_map.h; two that meet a new name in the
// same instant may make two ids of it, readers merge by name. SPDX-License-Identifier: PostgreSQL
#pragma once

#include <span>
#include <vector>

#include "upkeep/capture/endpoint_tag.h"
#include "upkeep/capture/slot_map.h"
#include "upkeep/capture/statement_table.h"

namespace upkeep::capture {

inline constexpr std::string_view kOtherName = "other";

struct EndpointRecord {
    SlotHead head;
    uint64_t touches = 0;
    SharedText<kMostEndpointBytes> name;
};
static_assert(std::is_trivially_copyable_v<EndpointRecord>);

struct EndpointHeader {
    static constexpr uint32_t kSightings = 1024;
    SlotMapHeader slots;
    uint64_t refused = 0;  // taggings that went to kOther
    /// Refused names by hash: hash (32 bits) | refusals at the last sighting (24) | sightings (8).
    uint64_t sightings[kSightings] = {};
};

class EndpointNames : public SlotMap<EndpointNames, EndpointRecord> {
  public:
    static constexpr uint32_t kNone = 0;
    static constexpr uint32_t kOther = 1;
    static constexpr uint32_t kFirst = 2;

    EndpointNames(EndpointHeader* header, uint64_t* index, EndpointRecord* records)
        : SlotMap(&header->slots, index, records), header_(header) {}

    void Format(uint32_t capacity);

    /// Id of the name (its first 128 bytes, control characters as blanks); kNone for the empty one.
    /// Hosts remember it and ask again when IsCurrent no longer holds. Note: allocates nothing.
    uint32_t IdOf(std::string_view name);
    /// Does the id still stand for the name that it was given for? False for kOther: ask again.
    bool IsCurrent(uint32_t id) const { return id == kNone || (id >= kFirst && Holds(RefOf(id))); }
    /// Tells the dictionary that a remembered id is in use. Enough: once in 64 uses.
    void Touch(uint32_t id);
    /// The name of an id; empty for kNone, `other` for kOther and for names that gave way.
    std::string NameOf(uint32_t id);

    /// Taggings that went to `other` for want of room.
    uint64_t Refused() const { return Get(header_->refused); }

    void Release(EndpointRecord&) {}
    static uint64_t Work(const EndpointRecord& record) { return Get(record.touches); }

  private:
    /// Bits of an id that tell the record; the others are its generation.
    uint32_t RecordBits() const;
    uint32_t LastGeneration() const { return ((UINT32_MAX - kFirst) >> RecordBits()) - 1; }
    uint32_t IdFor(SlotRef ref) const {
        return kFirst + (ref.generation << RecordBits() | ref.record);
    }
    SlotRef RefOf(uint32_t id) const;
    bool Admits(uint64_t hash);

    EndpointHeader* header_;
};

/// Statements that differ in nothing but ids of one name, or of names that gave way, become one.
void MergeEndpoints(EndpointNames& names, std::vector<StatementSnapshot>* statements);

}  // namespace upkeep::capture
