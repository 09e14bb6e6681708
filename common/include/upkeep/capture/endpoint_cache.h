// The caller's own memory of what comments told, so that a tag which repeats is neither read nor
// looked up again; one per backend or connection, never shared. Fixed size.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/capture/endpoint_names.h"

namespace upkeep::capture {

class EndpointCache {
  public:
    /// Id of the endpoint that a statement's comments tell; kNone: none. Note: allocates nothing.
    uint32_t IdOf(EndpointNames& names, std::string_view statement, SqlDialect dialect);

    /// Longer comments are read each time.
    static constexpr size_t kMostBytes = 240;
    static constexpr uint32_t kEntries = 32;

  private:
    struct Entry {
        uint32_t id = EndpointNames::kNone;
        uint16_t size = 0;  // 0: empty
        uint16_t uses = 0;
        char comment[kMostBytes] = {};
    };
    uint32_t IdOfComment(EndpointNames& names, std::string_view comment);

    Entry entries_[kEntries];
};

}  // namespace upkeep::capture
