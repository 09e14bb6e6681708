// The only error vocabulary of the core: a code, a sentence, a hint.
// Hosts translate the code: PostgreSQL into an SQLSTATE, SQLite into a result code.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace upkeep {

enum class Code {
    kInvalidArgument,   // the caller's value is wrong; nothing was done
    kNotFound,          // a named object does not exist
    kPermissionDenied,  // the caller may not read or do this
    kUnsupported,       // this host, object or build cannot do it; the hint says what can
    kBusy,              // try again later: a lock, a limit, another session
    kInterrupted,       // the caller cancelled, or a time limit of the host struck
    kHost,              // the host refused; the message is the host's own text
    kInternal,          // a broken invariant of ours
};

/// A failure as a value, and the only exception type the core throws (what() is the sentence).
/// Texts: lower case, no full stop; one hint that says what to do next, possibly empty.
class Error : public std::exception {
  public:
    Error(Code code, std::string message, std::string hint = {})
        : code_(code), message_(std::move(message)), hint_(std::move(hint)) {}

    Code code() const { return code_; }
    const char* what() const noexcept override { return message_.c_str(); }
    const std::string& message() const { return message_; }
    const std::string& hint() const { return hint_; }

  private:
    Code code_;
    std::string message_;
    std::string hint_;
};

}  // namespace upkeep
