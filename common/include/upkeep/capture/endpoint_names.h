// The routes and actions that statements were tagged with: a dictionary of a fixed size in shared
// memory. Ids stand for names everywhere else. Names are never removed; when it is full, new ones
// share kOther. Concurrency: a word is claimed by compare-and-swap with the name's hash, and the
// name becomes readable with its `ready` bit; who finds his own hash still being written may use
// the id already. SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/capture/shared_words.h"

namespace upkeep::capture {

inline constexpr size_t kMostEndpointBytes = 128;

struct EndpointRecord {
    uint64_t word = 0;  // hash with its lowest bit 0, | 1 once the name can be read; 0: empty
    SharedText<kMostEndpointBytes> name;
};

struct EndpointHeader {
    uint64_t refused = 0;  // taggings that went to kOther
    uint32_t capacity = 0;
    uint32_t reserved = 0;
};

class EndpointNames {
  public:
    static constexpr uint32_t kNone = 0;
    static constexpr uint32_t kOther = 1;
    static constexpr uint32_t kFirst = 2;

    EndpointNames(EndpointHeader* header, EndpointRecord* records)
        : header_(header), records_(records) {}

    void Format(uint32_t capacity);

    /// Id of the name (its first 128 bytes); kNone for the empty one. Note: hosts remember the id
    /// of the name in force, so that this is not asked per statement.
    uint32_t IdOf(std::string_view name);
    /// The name of an id; empty for kNone, `other` for kOther.
    std::string NameOf(uint32_t id) const;

    uint64_t Refused() const { return Get(header_->refused); }

  private:
    EndpointHeader* header_;
    EndpointRecord* records_;
};

}  // namespace upkeep::capture
