// An index description as DDL writes it.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>

#include "upkeep/advisor/what_if.h"

namespace upkeep::advisor {

/// `gin`, `brin`; empty: B-tree, which needs no USING.
std::string UsingMethod(IndexKind kind);

/// One key: `started_at DESC NULLS LAST`, `(lower(email))`, words only where they are needed.
std::string KeyText(const WhatIf& port, const Relation& relation, const IndexKey& key);

/// What follows `ON table`: ` USING gin (doc jsonb_path_ops)`, ` (a, b) INCLUDE (c) WHERE d`.
std::string IndexTail(const WhatIf& port, const IndexSpec& spec);

}  // namespace upkeep::advisor
