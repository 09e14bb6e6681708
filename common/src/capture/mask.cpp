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

/// Bytes by which, in PostgreSQL, something begins that is not copied as it stands: strings, dollar
/// quotes and parameters, comments; and quoted names, in which they mean nothing.
constexpr std::array<bool, 256> kSpecial = [] {
    std::array<bool, 256> special = {};
    for (const unsigned char c : {'\'', '"', '$', '-', '/'}) {
        special[c] = true;
    }
    return special;
}();

/// Where plain text ends that begins at `from`: at `to`, or before the first special thing.
size_t PlainEnd(std::string_view sql, size_t from, size_t to) {
    for (size_t i = from; i < to; ++i) {
        if (!kSpecial[static_cast<unsigned char>(sql[i])]) {
            continue;
        }
        const char c = sql[i];
        const char after = i + 1 < sql.size() ? sql[i + 1] : '\0';
        if (c == '"') {
            const size_t close = sql.find('"', i + 1);
            if (close >= to) {
                return i;
            }
            i = close;
        } else if (c == '\'' || c == '$' || (c == '-' && after == '-') ||
                   (c == '/' && after == '*')) {
            return i;
        }
    }
    return to;
}

/// The last word before `end`; empty if something else stands there.
std::string_view WordBefore(std::string_view sql, size_t begin, size_t end) {
    while (end > begin && IsSpace(sql[end - 1])) {
        --end;
    }
    size_t start = end;
    while (start > begin && IsWordPart(sql[start - 1])) {
        --start;
    }
    return sql.substr(start, end - start);
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

    /// Copies what stands before `to` as a whole, as far as nothing in it can be a constant or a
    /// comment. `to` is the start of a token or the end.
    void CopyRun(size_t to) {
        if (to <= copied_ || copied_ < looked_to_) {
            return;
        }
        const size_t special = PlainEnd(sql_, copied_, to);
        size_t end = special;
        // A token may have begun before: E'…', `a$b`, an operator before a comment.
        while (end > copied_ && end < sql_.size() && !IsSpace(sql_[end - 1]) &&
               sql_[end - 1] != ',' && sql_[end - 1] != '(') {
            // over a quoted name as a whole: the white space in it separates nothing
            end = sql_[end - 1] == '"' ? sql_.rfind('"', end - 2) : end - 1;
        }
        while (end > copied_ && IsSpace(sql_[end - 1])) {
            --end;  // with a comment behind it, it becomes one space
        }
        looked_to_ = special;
        if (end > copied_) {
            token_ = {Kind::kWord, WordBefore(sql_, copied_, end)};
            out_ += sql_.substr(copied_, end - copied_);
            copied_ = end;
            tokens_.SkipTo(end);
        }
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
    size_t looked_to_ = 0;  // there is no use in trying a run before
};

}  // namespace

std::string ReplaceConstants(std::string_view sql, std::span<const int> offsets,
                             const MaskOptions& options) {
    Masker masker(sql, options);
    size_t next = 0;
    size_t next_note = 0;
    const auto run_end = [&] {
        const size_t constant =
            next < offsets.size() ? static_cast<size_t>(std::max(offsets[next], 0)) : sql.size();
        while (next_note < options.notes.size() &&
               options.notes[next_note].offset < static_cast<int>(masker.end())) {
            ++next_note;
        }
        const size_t note = next_note < options.notes.size()
                                ? static_cast<size_t>(options.notes[next_note].offset)
                                : sql.size();
        return std::min({constant, note, sql.size()});
    };
    const bool has_runs = options.dialect == SqlDialect::kPostgres;
    if (has_runs) {
        masker.CopyRun(run_end());
    }
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
        if (has_runs) {
            masker.CopyRun(run_end());
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
    if (options.dialect == SqlDialect::kPostgres && sql.find('$') == std::string_view::npos &&
        sql.find("--") == std::string_view::npos && sql.find("/*") == std::string_view::npos) {
        return std::string(sql);  // nothing of it can be a parameter or a comment
    }
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
