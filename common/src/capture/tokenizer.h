// Cuts a statement into tokens, for normalising and for masking literals. Any bytes are accepted.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "upkeep/capture/normalize.h"

namespace upkeep::capture {

enum class Kind : uint8_t {
    kEnd,
    kWord,
    kQuoted,
    kLiteral,
    kOpen,
    kClose,
    kComma,
    kDot,
    kOperator
};

struct Token {
    Kind kind = Kind::kEnd;
    std::string_view text;
};

inline bool IsSpace(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
inline bool IsDigit(char c) {
    return c >= '0' && c <= '9';
}
inline bool IsWordStart(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}
/// One look instead of eight comparisons: most bytes of a text are parts of words.
inline constexpr std::array<bool, 256> kWordParts = [] {
    std::array<bool, 256> parts = {};
    for (int i = 0; i < 256; ++i) {
        const auto c = static_cast<char>(i);
        parts[i] = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '_' || c == '$' || i >= 0x80;
    }
    return parts;
}();
inline bool IsWordPart(char c) {
    return kWordParts[static_cast<unsigned char>(c)];
}
inline bool IsOperatorPart(char c) {
    return std::string_view("+-*/<>=~!@#%^&|`?:").find(c) != std::string_view::npos;
}
inline char Lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline constexpr std::string_view kWildcardNote = " /* %... */";

/// Is the literal after the word `before` a pattern that begins with a wildcard?
inline bool BeginsWithWildcard(std::string_view before, const Token& literal) {
    const auto is = [before](std::string_view word) {
        return std::equal(before.begin(), before.end(), word.begin(), word.end(),
                          [](char l, char r) { return Lower(l) == r; });
    };
    const size_t quote = literal.text.find_first_of("'\"");
    if (literal.kind != Kind::kLiteral || quote > 1 || quote + 1 >= literal.text.size()) {
        return false;
    }
    const char first = literal.text[quote + 1];
    return ((is("like") || is("ilike")) && (first == '%' || first == '_')) ||
           (is("glob") && (first == '*' || first == '?' || first == '['));
}

/// Cuts one token after the other from the text; unterminated quotes and comments run to its end.
class Tokenizer {
  public:
    /// `backslash`: a plain '…' may hold \', as with standard_conforming_strings off.
    Tokenizer(std::string_view text, SqlDialect dialect, bool backslash = false)
        : text_(text), dialect_(dialect), backslash_(backslash) {}

    size_t at() const { return at_; }
    /// Goes on at `at`, where a token or white space begins.
    void SkipTo(size_t at) { at_ = at; }

    Token Next() {
        SkipBlank();
        if (at_ >= text_.size()) {
            return {};
        }
        const char c = text_[at_];
        switch (c) {
            case '(':
                return Take(Kind::kOpen, at_ + 1);
            case ')':
                return Take(Kind::kClose, at_ + 1);
            case ',':
                return Take(Kind::kComma, at_ + 1);
            case ';':
                return Take(Kind::kOperator, at_ + 1);
            case '\'':
                return Take(Kind::kLiteral, QuoteEnd(at_, '\'', backslash_));
            case '"':
                return Take(Kind::kQuoted, QuoteEnd(at_, '"', false));
            default:
                break;
        }
        if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)))) {
            return Take(Kind::kLiteral, NumberEnd());
        }
        if (c == '.') {
            return Take(Kind::kDot, at_ + 1);
        }
        if (const Token special = Special(c); special.kind != Kind::kEnd) {
            return special;
        }
        if (IsWordStart(c)) {
            return Word();
        }
        return Take(Kind::kOperator, OperatorEnd());
    }

  private:
    char Peek(size_t ahead) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
    bool IsPostgres() const { return dialect_ == SqlDialect::kPostgres; }

    Token Take(Kind kind, size_t end) {
        end = std::clamp(end, at_ + 1, text_.size());
        const Token token{kind, text_.substr(at_, end - at_)};
        at_ = end;
        return token;
    }

    void SkipBlank() {
        while (at_ < text_.size()) {
            if (IsSpace(text_[at_])) {
                ++at_;
            } else if (text_[at_] == '-' && Peek(1) == '-') {
                at_ = std::min(text_.find('\n', at_), text_.size());
            } else if (text_[at_] == '/' && Peek(1) == '*') {
                SkipBlockComment();
            } else {
                return;
            }
        }
    }

    void SkipBlockComment() {
        int depth = 0;
        while (at_ < text_.size()) {
            if (text_[at_] == '/' && Peek(1) == '*' && (depth == 0 || IsPostgres())) {
                ++depth;
                at_ += 2;
            } else if (text_[at_] == '*' && Peek(1) == '/') {
                at_ += 2;
                if (--depth == 0) {
                    return;
                }
            } else {
                ++at_;
            }
        }
        at_ = text_.size();
    }

    /// End of a quoted run that starts at `from`; a doubled quote stands for itself.
    size_t QuoteEnd(size_t from, char quote, bool has_backslash) const {
        for (size_t i = from + 1; i < text_.size(); ++i) {
            if (has_backslash && text_[i] == '\\') {
                ++i;
            } else if (text_[i] == quote) {
                if (i + 1 >= text_.size() || text_[i + 1] != quote) {
                    return i + 1;
                }
                ++i;
            }
        }
        return text_.size();
    }

    size_t NumberEnd() const {
        size_t i = at_;
        while (i < text_.size()) {
            const char c = text_[i];
            const bool is_sign = (c == '+' || c == '-') && i > at_ && Lower(text_[i - 1]) == 'e' &&
                                 i + 1 < text_.size() && IsDigit(text_[i + 1]) &&
                                 Lower(text_[at_ + 1 < text_.size() ? at_ + 1 : at_]) != 'x';
            if (!IsDigit(c) && !IsWordStart(c) && c != '.' && !is_sign) {
                break;
            }
            ++i;
        }
        return i;
    }

    /// Parameters, dollar quotes and names in the quotes of one host only.
    Token Special(char c) {
        if (c == '$' && IsPostgres() && !IsDigit(Peek(1))) {
            const size_t end = DollarQuoteEnd();
            return end > at_ ? Take(Kind::kLiteral, end) : Token{};
        }
        const bool has_name = !IsPostgres() && IsWordPart(Peek(1));
        if ((c == '$' && (IsPostgres() || has_name)) || (c == '?' && !IsPostgres()) ||
            ((c == '@' || c == ':') && has_name)) {
            size_t end = at_ + 1;
            while (end < text_.size() &&
                   (IsPostgres() ? IsDigit(text_[end]) : IsWordPart(text_[end]))) {
                ++end;
            }
            return Take(Kind::kLiteral, end);
        }
        if (!IsPostgres() && c == '`') {
            return Take(Kind::kQuoted, QuoteEnd(at_, '`', false));
        }
        if (!IsPostgres() && c == '[') {
            return Take(Kind::kQuoted, text_.find(']', at_) == std::string_view::npos
                                           ? text_.size()
                                           : text_.find(']', at_) + 1);
        }
        return {};
    }

    /// End of `$tag$ … $tag$` at the current place, or the place itself: no dollar quote.
    size_t DollarQuoteEnd() const {
        size_t tag_end = at_ + 1;
        while (tag_end < text_.size() && text_[tag_end] != '$' && IsWordPart(text_[tag_end])) {
            ++tag_end;
        }
        if (tag_end >= text_.size() || text_[tag_end] != '$') {
            return at_;
        }
        const std::string_view tag = text_.substr(at_, tag_end + 1 - at_);
        const size_t close = text_.find(tag, tag_end + 1);
        return close == std::string_view::npos ? text_.size() : close + tag.size();
    }

    /// A word, or a string with a prefix: E'', B'', X'', N'', U&''.
    Token Word() {
        const char c = Lower(text_[at_]);
        if (Peek(1) == '\'' && (c == 'x' || (IsPostgres() && (c == 'e' || c == 'b' || c == 'n')))) {
            return Take(Kind::kLiteral, QuoteEnd(at_ + 1, '\'', c == 'e' || backslash_));
        }
        if (IsPostgres() && c == 'u' && Peek(1) == '&' && (Peek(2) == '\'' || Peek(2) == '"')) {
            return Take(Peek(2) == '\'' ? Kind::kLiteral : Kind::kQuoted,
                        QuoteEnd(at_ + 2, Peek(2), false));
        }
        size_t end = at_ + 1;
        while (end < text_.size() && IsWordPart(text_[end])) {
            ++end;
        }
        return Take(Kind::kWord, end);
    }

    size_t OperatorEnd() const {
        size_t end = at_ + 1;
        if (!IsOperatorPart(text_[at_])) {
            return end;
        }
        while (end < text_.size() && IsOperatorPart(text_[end])) {
            const std::string_view next = text_.substr(end, 2);
            const bool is_sign = text_[end] == '-' || text_[end] == '+' || text_[end] == '@' ||
                                 text_[end] == '?' || text_[end] == ':' || text_[end] == '`';
            if (next == "--" || next == "/*" || (is_sign && !IsPostgres())) {
                break;  // a comment, a sign or a parameter begins
            }
            if (IsPostgres() && (text_[end] == '-' || text_[end] == '+')) {
                break;  // `a=-1` and `a = -1` are one shape
            }
            ++end;
        }
        return end;
    }

    std::string_view text_;
    SqlDialect dialect_;
    bool backslash_;
    size_t at_ = 0;
};

}  // namespace upkeep::capture
