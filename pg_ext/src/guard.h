// The boundary between C++ and PostgreSQL: the only places where an exception becomes an ereport
// and an ereport an exception. See CONTRIBUTING.md, rule 2.
//
//   SQL ─▶ extern "C" symbol ─▶ Enter ─▶ C++ (objects with destructors) ─▶ CallHost ─▶ server
//                                 ▲                                            │ ereport(ERROR)
//                                 └── ereport again, nothing alive ◀── HostError ┘
//
// A longjmp over a live C++ object skips its destructor; an exception that reaches C frames ends
// the whole server. Neither happens as long as every crossing uses these functions.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <exception>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "pg.h"
#include "upkeep/base/error.h"
#include "upkeep/base/result.h"

namespace upkeep::pg {

/// A server error on its way through C++ frames. Not a std::exception, so that the core cannot
/// swallow a query cancel. `data` lives in the memory context that was current at CallHost.
struct HostError {
    ErrorData* data;
};

/// What is to be raised, as plain data: raising from it leaves nothing undestroyed.
struct Pending {
    sigjmp_buf* jump =
        PG_exception_stack;  // put back before raising: the body may have left a PG_TRY
    ErrorContextCallback* context = error_context_stack;
    ErrorData* host = nullptr;
    int sqlstate = 0;
    char message[1024] = "";
    char hint[512] = "";
};

int SqlState(Code code);
/// Copies texts, cut at character boundaries of the database encoding.
void Fill(Pending* pending, int sqlstate, const char* message, const char* hint);
[[noreturn]] void Raise(const Pending& pending);

/// C++ -> PostgreSQL: runs the body of one SQL-callable function.
template <typename Body>
Datum Enter(FunctionCallInfo fcinfo, Body body) {
    Pending pending;
    try {
        return body(fcinfo);
    } catch (const HostError& error) {
        pending.host = error.data;
    } catch (const Error& error) {
        Fill(&pending, SqlState(error.code()), error.what(), error.hint().c_str());
    } catch (const std::bad_alloc&) {
        Fill(&pending, ERRCODE_OUT_OF_MEMORY, "out of memory", "");
    } catch (const std::exception& error) {
        Fill(&pending, ERRCODE_INTERNAL_ERROR, error.what(), "");
    } catch (...) {
        Fill(&pending, ERRCODE_INTERNAL_ERROR, "unknown C++ exception", "");
    }
    Raise(pending);  // outside the catch: the exception object is gone
}

/// The frame that calls sigsetjmp: holds pointers only.
template <typename Call, typename Value>
[[gnu::noinline]] ErrorData* TryCall(Call& call, Value* out) {
    MemoryContext context = CurrentMemoryContext;
    ErrorData* volatile error = nullptr;
    PG_TRY();
    { *out = call(); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        error = CopyErrorData();
        FlushErrorState();
    }
    PG_END_TRY();
    return error;
}

/// PostgreSQL -> C++: runs `call`, which touches the server and creates no object with a
/// destructor. Throws HostError if it raised. A call without a result is written with CallHostVoid.
template <typename Call>
auto CallHost(Call call) -> decltype(call()) {
    using Value = decltype(call());
    static_assert(std::is_trivially_destructible_v<Call> && std::is_trivially_copyable_v<Value>);
    Value value{};
    if (ErrorData* error = TryCall(call, &value)) {
        throw HostError{error};
    }
    return value;
}

template <typename Call>
void CallHostVoid(Call call) {
    CallHost([call]() mutable {
        call();
        return true;
    });
}

/// What is left of a subtransaction that ran without an error. kNothing gives back the locks it
/// took, too; what the call palloc'd in the caller's memory context stays in both cases.
enum class Keep : bool { kNothing, kWork };

/// As CallHost, for a call after whose error we go on (a statement that does not parse): runs in a
/// subtransaction that is rolled back on error; memory context and resource owner are the caller's
/// again afterwards. Cancel, shutdown and deadlock are never turned into a value.
/// Errors: kHost with the server's text and hint; the other codes by its SQLSTATE.
template <typename Call>
auto InSubtransaction(Call call, Keep keep = Keep::kWork) -> Result<decltype(call())>;

/// The error as a value; frees `data`.
Error FromHost(ErrorData* data);
/// Does this error end the caller's statement whatever we think of it?
bool MustUnwind(const ErrorData* data);

/// Plain halves of InSubtransaction.
struct SubtransactionState {
    MemoryContext context;
    ResourceOwner owner;
};
SubtransactionState BeginSubtransaction();
void EndSubtransaction(const SubtransactionState& state, bool commit);

template <typename Call, typename Value>
[[gnu::noinline]] ErrorData* TryInSubtransaction(Call& call, Value* out, Keep keep) {
    SubtransactionState state = BeginSubtransaction();
    ErrorData* volatile error = nullptr;
    PG_TRY();
    {
        *out = call();
        EndSubtransaction(state, keep == Keep::kWork);
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(state.context);
        error = CopyErrorData();
        FlushErrorState();
        EndSubtransaction(state, false);
    }
    PG_END_TRY();
    return error;
}

template <typename Call>
auto InSubtransaction(Call call, Keep keep) -> Result<decltype(call())> {
    using Value = decltype(call());
    static_assert(std::is_trivially_destructible_v<Call> && std::is_trivially_copyable_v<Value>);
    if (IsInParallelMode()) {  // no subtransactions there: the error ends the statement instead
        return CallHost(call);
    }
    Value value{};
    ErrorData* error =
        CallHost([&call, out = &value, keep] { return TryInSubtransaction(call, out, keep); });
    if (error == nullptr) {
        return value;
    }
    if (MustUnwind(error)) {
        throw HostError{error};
    }
    return FromHost(error);
}

}  // namespace upkeep::pg
