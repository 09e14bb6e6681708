// From statement text to what the advisor needs to know of it: parse, analyse, rewrite, check the
// caller's rights, walk. Plans nothing.
// C-like: may raise, so call it inside CallHost or InSubtransaction.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

/// Errors (raised): the server's own for text that does not parse or names what does not exist;
/// 22023 for several statements or another kind; 42501 for a relation the caller may not read.
/// Note: takes the locks that parse analysis takes, until the transaction ends.
PlainStatement* AnalyseStatement(const char* text);

}  // namespace upkeep::pg
