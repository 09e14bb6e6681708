// From statement text to what the advisor needs to know of it: parse, analyse, rewrite, check the
// caller's rights, walk. Plans nothing.
// C-like: may raise, so call it inside CallHost or InSubtransaction.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

/// Errors (raised): the server's own for text that does not parse or names what does not exist;
/// 22023 for several statements or another kind; 42501 for a relation the caller may not read.
/// Note: takes the locks that parse analysis takes, for an UPDATE a writer's: run it in a
/// subtransaction that gives them back, then LockRelations.
PlainStatement* AnalyseStatement(const char* text);

/// The same with the types of some parameters given, InvalidOid: as the statement wants it.
struct ParameterTypes {
    const Oid* types = nullptr;
    int count = 0;
};
PlainStatement* AnalyseStatement(const char* text, const ParameterTypes& known);

/// AccessShareLock, until the transaction ends, on all that the statement names: enough for
/// planning. Errors (raised): 42P01 if one was dropped since the analysis.
bool LockRelations(const PlainStatement* statement);

}  // namespace upkeep::pg
