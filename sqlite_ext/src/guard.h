// C++ <-> SQLite: nothing throws into C, every failure becomes a text and a result code.
//
//   SQLite -> xFunc(context, …)   -> Enter(context, body)        -> sqlite3_result_error + code
//   SQLite -> xFilter(cursor, …)  -> EnterVtab(&zErrMsg, body)   -> zErrMsg + returned code
//
// The other direction needs no guard (SQLite reports by result codes, it never jumps): HostError()
// turns such a code into what the core understands. Not for: what a call does.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <type_traits>

#include "sqlite_api.h"
#include "upkeep/base/error.h"
#include "upkeep/base/text.h"

namespace upkeep::sqlite {

/// What ended a call, as plain data: filling it in a handler can neither throw nor allocate.
struct Failure {
    int code = SQLITE_ERROR;
    char text[2048];                   // the first byte only is set: callbacks make one each time
    Failure() noexcept { *text = 0; }  // NOLINT(cppcoreguidelines-pro-type-member-init)
};

inline int ResultCode(Code code) {
    switch (code) {
        case Code::kPermissionDenied:
            return SQLITE_AUTH;
        case Code::kBusy:
            return SQLITE_BUSY;
        case Code::kInterrupted:
            return SQLITE_INTERRUPT;
        case Code::kInternal:
            return SQLITE_INTERNAL;
        case Code::kInvalidArgument:
        case Code::kNotFound:
        case Code::kUnsupported:
        case Code::kHost:
            break;
    }
    return SQLITE_ERROR;
}

/// How many bytes of `text` fit into `most` without cutting a character of UTF-8 in two.
inline int BytesWithin(const char* text, size_t most) {
    size_t length = strnlen(text, most + 1);
    if (length > most) {
        for (length = most; length > 0 && (text[length] & 0xc0) == 0x80; --length) {
        }
    }
    return static_cast<int>(length);
}

/// SQLite has no field for a hint, so it follows the sentence in brackets. A sentence that repeats
/// a long argument is cut, the hint stays.
/// Source: sqlite3_snprintf, which unlike snprintf knows no locale.
inline void Fill(Failure* failure, int code, const char* text, const char* hint = "") {
    constexpr size_t kRoom = sizeof failure->text - sizeof "… (hint: )";
    failure->code = code;
    const int hint_bytes = BytesWithin(hint, kRoom / 2);
    const int text_bytes = BytesWithin(text, kRoom - static_cast<size_t>(hint_bytes));
    const char* cut = text[text_bytes] != '\0' ? "…" : "";
    if (hint_bytes == 0) {
        sqlite3_snprintf(sizeof failure->text, failure->text, "%.*s%s", text_bytes, text, cut);
    } else {
        sqlite3_snprintf(sizeof failure->text, failure->text, "%.*s%s (hint: %.*s)", text_bytes,
                         text, cut, hint_bytes, hint);
    }
}

/// Runs `body`; true, or false with `failure` filled. The catch list of every entry from C.
template <typename Body>
bool Guarded(Failure* failure, Body& body) noexcept {
    try {
        body();
        return true;
    } catch (const Error& e) {
        Fill(failure, ResultCode(e.code()), e.what(), e.hint().c_str());
    } catch (const std::bad_alloc&) {
        Fill(failure, SQLITE_NOMEM, "out of memory");
    } catch (const std::exception& e) {
        Fill(failure, SQLITE_INTERNAL, e.what());
    } catch (...) {
        Fill(failure, SQLITE_INTERNAL, "unknown C++ exception");
    }
    return false;
}

/// Guard of SQL functions. `body()` sets the result itself.
template <typename Body>
void Enter(sqlite3_context* context, Body body) noexcept {
    Failure failure;
    if (!Guarded(&failure, body)) {
        sqlite3_result_error(context, failure.text, -1);  // first: it sets the code to SQLITE_ERROR
        sqlite3_result_error_code(context, failure.code);
    }
}

/// Runs a body and keeps the result code that it returns.
template <typename Body>
struct KeepCode {
    Body& body;
    int code = SQLITE_OK;
    void operator()() { code = body(); }
};

/// Guard of virtual table methods and of the entry point: `body()` returns a result code.
/// `message` is the vtab's zErrMsg (or pzErr of xConnect); what it held is freed.
template <typename Body>
int EnterVtab(char** message, Body body) noexcept {
    static_assert(std::is_same_v<decltype(body()), int>);
    Failure failure;
    KeepCode<Body> keep_code{body};
    if (Guarded(&failure, keep_code)) {
        return keep_code.code;
    }
    sqlite3_free(*message);
    *message = sqlite3_mprintf("%s", failure.text);
    return failure.code;
}

/// The connection's last error in the core's vocabulary. `code` is what the failing call returned.
/// Note: throws std::bad_alloc for SQLITE_NOMEM, as the core expects.
inline Error HostError(sqlite3* db, int code) {
    // Of a damaged file SQLite quotes what it found there.
    const std::string text = ToUtf8(db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    switch (code & 0xff) {
        case SQLITE_NOMEM:
            throw std::bad_alloc();
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return {Code::kBusy, text, "try again when the other transaction has ended"};
        case SQLITE_INTERRUPT:
            return {Code::kInterrupted, text};
        case SQLITE_AUTH:
            return {Code::kPermissionDenied, text};
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return {Code::kHost, text, "run PRAGMA integrity_check, and restore from a backup"};
        default:
            return {Code::kHost, text};
    }
}

}  // namespace upkeep::sqlite
