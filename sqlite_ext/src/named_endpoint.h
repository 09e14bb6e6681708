// The name of an endpoint and its id, which may have to be asked for anew: names give way.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>

#include "upkeep/capture/endpoint_names.h"

namespace upkeep::sqlite {

/// One per connection or statement; used by its own thread only.
class NamedEndpoint {
  public:
    void Set(std::string_view name) {
        name_ = name;
        ForgetId();
    }
    /// To be called where the next store may be another one: its ids mean other names.
    void ForgetId() { id_ = capture::EndpointNames::kOther; }
    bool empty() const { return name_.empty(); }
    uint32_t IdIn(capture::EndpointNames& names) {
        if (name_.empty()) {
            return capture::EndpointNames::kNone;
        }
        if (!names.IsCurrent(id_)) {
            id_ = names.IdOf(name_);
        } else if (++uses_ % kUsesPerTouch == 0) {
            names.Touch(id_);
        }
        return id_;
    }

  private:
    static constexpr uint32_t kUsesPerTouch = 64;
    std::string name_;
    uint32_t id_ = capture::EndpointNames::kOther;
    uint32_t uses_ = 0;
};

}  // namespace upkeep::sqlite
