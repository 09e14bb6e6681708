// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"

UPKEEP_ROWS(install_workflow_schema) {
    throw upkeep::Error(upkeep::Code::kUnsupported, "not yet");
}
