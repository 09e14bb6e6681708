// The one header that includes PostgreSQL, in the right order, inside extern "C".
// SPDX-License-Identifier: PostgreSQL
#pragma once

extern "C" {
#include "postgres.h"
// postgres.h first; a blank line keeps the order
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
}

// PostgreSQL's macros that collide with the standard library or ours.
#undef gettext
#undef Abs
#undef Min
#undef Max

namespace upkeep::pg {

inline constexpr int64_t kPostgresEpochUs = 946684800LL * 1000000;  // 2000 since 1970, UTC

}  // namespace upkeep::pg
