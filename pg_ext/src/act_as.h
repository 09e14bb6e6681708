// Being another role for a while. SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"

namespace upkeep::pg {

/// Analysis and planning as another role, with what a maintenance command may do for a table's
/// owner: nothing that changes the session.
class ActAs {
  public:
    explicit ActAs(Oid role) {
        GetUserIdAndSecContext(&user_, &security_);
        if (OidIsValid(role)) {
            SetUserIdAndSecContext(
                role, security_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
        }
    }
    ~ActAs() { SetUserIdAndSecContext(user_, security_); }
    ActAs(const ActAs&) = delete;
    ActAs& operator=(const ActAs&) = delete;

  private:
    Oid user_ = InvalidOid;
    int security_ = 0;
};

}  // namespace upkeep::pg
