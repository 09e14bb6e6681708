// lint_statements: captured statements of this database that the caller may see, analysed with the
// rights of who ran them, handed to the core as facts.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/base/table_function.h"

namespace upkeep::pg {

void LintStatements(RowSink& rows);

}  // namespace upkeep::pg
