// The endpoint that a comment of a statement tells.
//
//   /*action='index',controller='users',route='%2Fusers%2F%3Aid'*/   SQLCommenter
//   /*application:Shop,controller:users,action:index*/                marginalia
//
// Tags are looked for in the comments at the end of a statement, from the last backwards, then in
// those before its first word; the first that tells an endpoint wins. Comments in between are not
// looked at. A comment counts only if all of it parses: pairs of key and value, separated by
// commas, with `=` or `:` between and values in single quotes or plain. In quotes, `\'` is a quote;
// after `=`, %XX is a byte and `+` is itself. What gives no text (control characters, bytes that
// are not UTF-8) is no tag. The name is, of the keys: route, up to a query string, which may carry
// data; else controller and action as `controller#action`; else job or one of the two alone.
//
// Statements are valid ones (the host has parsed them), so their end is outside of any quote: that
// is why the usual statement without a comment costs a look at its two ends.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstddef>
#include <string_view>

#include "upkeep/capture/normalize.h"

namespace upkeep::capture {

inline constexpr size_t kMostEndpointBytes = 128;

/// A name in memory of its own, at most kMostEndpointBytes, cut at a character; empty: none.
class EndpointName {
  public:
    std::string_view view() const { return {bytes_, size_}; }
    bool empty() const { return size_ == 0; }
    /// False (and empty): a control character, or bytes that are not UTF-8.
    bool Set(std::string_view name);
    /// `first#second`
    bool Set(std::string_view first, std::string_view second);

  private:
    size_t size_ = 0;
    char bytes_[kMostEndpointBytes] = {};
};

/// Blank as far as both hosts' parsers go, or what ends a statement.
inline bool IsBlankOrEnd(char c) {
    return c == ' ' || c == ';' || (c >= '\t' && c <= '\r');
}

/// May there be a comment at one of the two ends? False is certain.
inline bool MayCarryTag(std::string_view statement) {
    size_t end = statement.size();
    while (end > 0 && IsBlankOrEnd(statement[end - 1])) {
        --end;
    }
    if (end >= 4 && statement[end - 1] == '/' && statement[end - 2] == '*') {
        return true;
    }
    size_t from = 0;
    while (from < end && IsBlankOrEnd(statement[from])) {
        ++from;
    }
    return end - from >= 4 && statement[from] == '/' && statement[from + 1] == '*';
}

/// The comments at the ends of a statement, each with its marks, in the order in which they are
/// looked at. At most eight at each end. `dialect`: where a comment's beginning is in doubt.
class EdgeComments {
  public:
    EdgeComments(std::string_view statement, SqlDialect dialect)
        : statement_(statement), dialect_(dialect), end_(statement.size()) {}
    /// The next comment; empty: there is no other.
    std::string_view Next();
    /// What is between the comments that Next gave, without blanks, once it gave none.
    std::string_view Between() const;

  private:
    std::string_view NextTrailing();
    std::string_view NextLeading();
    bool StandsOutside(size_t start) const;

    static constexpr int kMost = 8;
    std::string_view statement_;
    SqlDialect dialect_;
    size_t end_;
    size_t from_ = 0;
    int trailing_ = 0;
    int leading_ = 0;
};

/// The endpoint that one whole comment tells. False: none.
bool ReadTag(std::string_view comment, EndpointName* endpoint);

/// The endpoint of a statement. False: none is told. Note: allocates nothing.
bool FindEndpoint(std::string_view statement, SqlDialect dialect, EndpointName* endpoint);

/// Is there nothing but comments, blanks and semicolons in it? For what follows a statement.
bool IsOnlyComments(std::string_view text, SqlDialect dialect);

}  // namespace upkeep::capture
