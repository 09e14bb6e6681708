// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <charconv>

#include "tokenizer.h"

namespace upkeep::capture {

namespace {

bool IsParameter(std::string_view token) {
    return token.size() > 1 && ((token[0] == '$' && IsDigit(token[1])) || token[0] == '?' ||
                                token[0] == ':' || token[0] == '@');
}

bool HasQuote(std::string_view token) {
    return token.find('\'') != std::string_view::npos || token[0] == '$';
}

/// Copies a text, token by token, with constants replaced.
class Masker {
  public:
    Masker(std::string_view sql, const MaskOptions& options)
        : sql_(sql),
          tokens_(sql, options.dialect, options.backslash),
          next_number_(options.first_number),
          is_numbered_(options.is_numbered) {
        out_.reserve(sql.size());
    }

    /// False: the text has ended.
    bool Next() {
        const Token token = tokens_.Next();
        if (token.kind == Kind::kEnd) {
            return false;
        }
        start_ = static_cast<size_t>(token.text.data() - sql_.data());
        CopyGap(start_);
        before_ = token_.text;
        token_ = token;
        copied_ = start_ + token.text.size();
        return true;
    }

    const Token& token() const { return token_; }
    size_t end() const { return copied_; }

    int start() const { return static_cast<int>(start_); }
    bool IsWildcardPattern() const { return BeginsWithWildcard(before_, token_); }

    void CopyToken() { out_ += token_.text; }
    void PutNote(std::string_view note) { out_ += " /* " + std::string(note) + " */"; }
    void PutWildcardNote() { out_ += kWildcardNote; }
    void Put(std::string_view text) { out_ += text; }
    void PutUnknown() { out_ += '?'; }
    void PutNumber() { out_ += is_numbered_ ? "$" + std::to_string(next_number_++) : "?"; }

    /// After a minus: the number is part of the same constant.
    void SkipNext() {
        const Token token = tokens_.Next();
        if (token.kind != Kind::kEnd) {
            copied_ = static_cast<size_t>(token.text.data() - sql_.data()) + token.text.size();
        }
    }

    /// 'a' and, on the next line, 'b' are one literal.
    void SkipContinuations() {
        while (token_.text.back() == '\'') {
            size_t at = copied_;
            bool has_newline = false;
            while (at < sql_.size() && IsSpace(sql_[at])) {
                has_newline = has_newline || sql_[at] == '\n' || sql_[at] == '\r';
                ++at;
            }
            if (!has_newline || at >= sql_.size() || sql_[at] != '\'') {
                return;
            }
            token_ = tokens_.Next();
            copied_ = at + token_.text.size();
        }
    }

    std::string Finish() {
        CopyGap(sql_.size());
        return std::move(out_);
    }

  private:
    /// White space as it is; where a comment stands, one space.
    void CopyGap(size_t to) {
        const std::string_view gap = sql_.substr(copied_, to - copied_);
        const bool is_space = std::all_of(gap.begin(), gap.end(), IsSpace);
        if (is_space) {
            out_ += gap;
        } else if (!out_.empty() && to < sql_.size()) {
            out_ += ' ';
        }
    }

    std::string_view sql_;
    Tokenizer tokens_;
    int next_number_;
    bool is_numbered_;
    std::string out_;
    Token token_;
    std::string_view before_;  // the token before it
    size_t start_ = 0;
    size_t copied_ = 0;
};

}  // namespace

std::string ReplaceConstants(std::string_view sql, std::span<const int> offsets,
                             const MaskOptions& options) {
    Masker masker(sql, options);
    size_t next = 0;
    while (masker.Next()) {
        const Token& token = masker.token();
        bool is_constant = false;
        while (next < offsets.size() && offsets[next] < static_cast<int>(masker.end())) {
            is_constant = true;
            ++next;
        }
        const int start = masker.start();
        if (is_constant) {
            const bool is_wildcard = masker.IsWildcardPattern();
            if (token.text == "-") {
                masker.SkipNext();
            }
            masker.SkipContinuations();
            masker.PutNumber();
            if (is_wildcard) {
                masker.PutWildcardNote();
            }
        } else if (token.kind == Kind::kLiteral && HasQuote(token.text) &&
                   !IsParameter(token.text)) {
            masker.SkipContinuations();
            masker.PutUnknown();
        } else {
            masker.CopyToken();
        }
        for (const TextNote& note : options.notes) {
            if (note.offset == start) {
                masker.PutNote(note.text);
                break;
            }
        }
    }
    return masker.Finish();
}

std::string MaskLiterals(std::string_view sql, const MaskOptions& options) {
    Masker masker(sql, options);
    while (masker.Next()) {
        const Token& token = masker.token();
        if (token.kind == Kind::kLiteral && !IsParameter(token.text)) {
            masker.SkipContinuations();
            masker.PutNumber();
        } else {
            masker.CopyToken();
        }
    }
    return masker.Finish();
}

std::optional<std::string> WithValues(std::string_view sql,
                                      std::span<const std::string_view> values,
                                      const MaskOptions& options) {
    Masker masker(sql, options);
    while (masker.Next()) {
        const std::string_view token = masker.token().text;
        const bool is_parameter = options.dialect == SqlDialect::kPostgres &&
                                  masker.token().kind == Kind::kLiteral && IsParameter(token);
        if (!is_parameter) {
            masker.CopyToken();
            continue;
        }
        size_t number = 0;
        std::from_chars(token.data() + 1, token.data() + token.size(), number);
        if (number == 0 || number > values.size()) {
            return std::nullopt;
        }
        masker.Put(values[number - 1]);
    }
    return masker.Finish();
}

}  // namespace upkeep::capture
