// A token scanner over SELECT, UPDATE and DELETE; no parser.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "tokenizer.h"
#include "upkeep/capture/lint.h"

namespace upkeep::capture {

namespace {

using Operand = LintOperand;

enum class Clause : uint8_t { kNone, kSelect, kFrom, kWhere, kOrder, kOther };

std::string LowerText(std::string_view text) {
    std::string lower;
    std::transform(text.begin(), text.end(), std::back_inserter(lower),
                   [](char c) { return Lower(c); });
    return lower;
}

/// Unquoted; words in lower case, as both hosts compare them.
std::string NameOf(const Token& token) {
    if (token.kind != Kind::kQuoted || token.text.size() < 2) {
        return LowerText(token.text);
    }
    std::string name;
    const std::string_view inside = token.text.substr(1, token.text.size() - 2);
    for (size_t i = 0; i < inside.size(); ++i) {
        name += inside[i];
        if (i + 1 < inside.size() && inside[i] == token.text[0] && inside[i + 1] == inside[i]) {
            ++i;
        }
    }
    return name;
}

template <size_t kSize>
bool IsOneOf(std::string_view word, const std::array<std::string_view, kSize>& words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<std::string_view, 20> kNotColumns = {
    "and",  "all",      "any",      "as",           "between",
    "case", "cast",     "distinct", "exists",       "false",
    "in",   "interval", "is",       "not",          "null",
    "or",   "select",   "true",     "current_date", "current_timestamp"};
constexpr std::array<std::string_view, 31> kAfterTable = {
    "where",   "on",        "join",      "left",   "right",   "inner",       "outer",  "cross",
    "natural", "full",      "using",     "group",  "order",   "limit",       "offset", "union",
    "except",  "intersect", "having",    "window", "indexed", "not",         "set",    "for",
    "values",  "select",    "returning", "fetch",  "lateral", "tablesample", "when"};
constexpr std::array<std::string_view, 21> kEndsCondition = {
    "and",   "or",     "group",     "order", "limit",     "offset", "having",
    "union", "except", "intersect", "join",  "left",      "right",  "inner",
    "cross", "where",  "for",       "fetch", "returning", "window", "natural"};

class Scanner {
  public:
    Scanner(std::string_view sql, SqlDialect dialect) : sql_(sql) {
        Tokenizer tokenizer(sql, dialect);
        for (Token token = tokenizer.Next(); token.kind != Kind::kEnd; token = tokenizer.Next()) {
            tokens_.push_back(token);
            words_.push_back(token.kind == Kind::kWord ? LowerText(token.text)
                                                       : std::string(token.text));
        }
    }

    LintText Scan() {
        clauses_.push_back(Clause::kNone);
        for (at_ = 0; at_ < tokens_.size(); ++at_) {
            switch (tokens_[at_].kind) {
                case Kind::kOpen:
                    clauses_.push_back(clauses_.back());
                    TryComparison(at_ + 1);
                    if (clauses_.back() == Clause::kFrom && !IsWord(at_ + 1, "select")) {
                        TryTable(at_ + 1);
                    }
                    break;
                case Kind::kClose:
                    if (clauses_.size() > 1) {
                        clauses_.pop_back();
                    }
                    break;
                case Kind::kComma:
                    if (clauses_.back() == Clause::kFrom) {
                        TryTable(at_ + 1);
                    } else if (clauses_.back() == Clause::kOrder && Depth() == 0) {
                        AddKey(at_ + 1);
                    } else if (after_limit_ && Depth() == 0) {
                        out_.has_offset = true;  // LIMIT skip, count
                    }
                    break;
                case Kind::kWord:
                    TakeWord(words_[at_]);
                    break;
                case Kind::kOperator:
                    TakeStar();
                    break;
                default:
                    break;
            }
        }
        return std::move(out_);
    }

  private:
    int Depth() const { return static_cast<int>(clauses_.size()) - 1; }
    bool IsWord(size_t at, std::string_view word) const {
        return at < tokens_.size() && tokens_[at].kind == Kind::kWord && words_[at] == word;
    }
    bool IsKind(size_t at, Kind kind) const {
        return at < tokens_.size() && tokens_[at].kind == kind;
    }
    bool IsName(size_t at) const { return IsKind(at, Kind::kWord) || IsKind(at, Kind::kQuoted); }

    void TakeWord(const std::string& word) {
        Clause& clause = clauses_.back();
        const bool is_outermost = Depth() == 0;
        if (word == "select") {
            clause = Clause::kSelect;
        } else if ((word == "from" && !IsKind(at_ + 1, Kind::kLiteral)) || word == "join" ||
                   word == "update") {
            clause = Clause::kFrom;
            TryTable(at_ + 1);
        } else if (word == "where" || word == "on") {
            clause = Clause::kWhere;
            TryComparison(at_ + 1);
        } else if (word == "and" || word == "or") {
            TryComparison(at_ + 1);
        } else if (word == "not" && IsWord(at_ + 1, "in")) {
            TryNotIn(at_ + 2);
        } else if (word == "order" && IsWord(at_ + 1, "by")) {
            clause = Clause::kOrder;
            if (is_outermost) {
                AddKey(at_ + 2);
            }
        } else if (word == "limit" || word == "fetch") {
            out_.has_limit = out_.has_limit || is_outermost;
            after_limit_ = is_outermost && word == "limit";
            clause = Clause::kOther;
        } else if (word == "offset") {
            out_.has_offset = out_.has_offset || is_outermost;
            clause = Clause::kOther;
        } else if (word == "group" || word == "having" || word == "set" || word == "window" ||
                   word == "values" || word == "returning") {
            clause = Clause::kOther;
        } else if (word == "union" || word == "except" || word == "intersect") {
            out_.is_compound = out_.is_compound || is_outermost;
        }
    }

    void TakeStar() {
        if (tokens_[at_].text != "*" || Depth() != 0 || clauses_.back() != Clause::kSelect ||
            at_ == 0) {
            return;
        }
        const bool begins = IsKind(at_ - 1, Kind::kComma) || IsWord(at_ - 1, "select") ||
                            IsWord(at_ - 1, "distinct") || IsWord(at_ - 1, "all");
        if (begins) {
            out_.stars.emplace_back();
        } else if (at_ >= 2 && IsKind(at_ - 1, Kind::kDot) && IsName(at_ - 2)) {
            out_.stars.push_back(NameOf(tokens_[at_ - 2]));
        }
    }

    void TryTable(size_t at) {
        if (!IsName(at) || (IsKind(at, Kind::kWord) && IsOneOf(words_[at], kAfterTable))) {
            return;
        }
        LintText::Name name;
        name.depth = Depth();
        name.table = NameOf(tokens_[at++]);
        if (IsKind(at, Kind::kDot) && IsName(at + 1)) {
            name.schema = name.table;
            name.table = NameOf(tokens_[at + 1]);
            at += 2;
        }
        if (IsKind(at, Kind::kOpen)) {
            return;  // a function
        }
        name.alias = name.table;
        at += IsWord(at, "as") ? 1 : 0;
        if (IsName(at) && !(IsKind(at, Kind::kWord) && IsOneOf(words_[at], kAfterTable))) {
            name.alias = NameOf(tokens_[at]);
        }
        out_.names.push_back(std::move(name));
    }

    /// Position behind the bracket that closes the one at `at`.
    size_t BehindClose(size_t at) const {
        int open = 0;
        for (; at < tokens_.size(); ++at) {
            open += tokens_[at].kind == Kind::kOpen ? 1 : tokens_[at].kind == Kind::kClose ? -1 : 0;
            if (open == 0) {
                return at + 1;
            }
        }
        return at;
    }

    /// A column name at `at`; moves behind it.
    bool ReadColumn(size_t* at, Operand* out) const {
        size_t i = *at;
        if (!IsName(i) || (IsKind(i, Kind::kWord) && IsOneOf(words_[i], kNotColumns)) ||
            IsKind(i + 1, Kind::kOpen)) {
            return false;
        }
        out->column = NameOf(tokens_[i++]);
        while (IsKind(i, Kind::kDot) && IsName(i + 1)) {
            out->qualifier = out->column;
            out->column = NameOf(tokens_[i + 1]);
            i += 2;
        }
        if (IsKind(i, Kind::kOpen)) {
            return false;  // schema.function(…)
        }
        *at = i;
        return true;
    }

    /// What stands in a call's brackets, if it is about one column.
    void ReadCall(size_t open, size_t behind, Operand* out) const {
        int columns = 0;
        for (size_t i = open + 1; i + 1 < behind;) {
            Operand inner;
            if (IsWord(i, "as") && out->function == "cast") {
                out->cast_type = IsName(i + 1) ? NameOf(tokens_[i + 1]) : std::string();
                break;
            }
            if (IsWord(i, "select")) {
                return;
            }
            out->has_literal = out->has_literal || IsKind(i, Kind::kLiteral);
            if (!ReadColumn(&i, &inner)) {
                ++i;
                continue;
            }
            columns += inner.column == out->column && inner.qualifier == out->qualifier ? 0 : 1;
            out->column = inner.column;
            out->qualifier = inner.qualifier;
        }
        if (out->function == "cast") {
            out->kind = columns <= 1 ? Operand::Kind::kCast : Operand::Kind::kOther;
        } else {
            out->kind = columns == 1 ? Operand::Kind::kFunction : Operand::Kind::kOther;
        }
    }

    Operand ReadOperand(size_t* at) const {
        Operand operand;
        const size_t begin = *at;
        if (IsKind(begin, Kind::kLiteral)) {
            operand.kind = Operand::Kind::kLiteral;
            ++*at;
        } else if (IsKind(begin, Kind::kWord) && IsKind(begin + 1, Kind::kOpen) &&
                   (words_[begin] == "cast" || !IsOneOf(words_[begin], kNotColumns))) {
            operand.function = words_[begin];
            *at = BehindClose(begin + 1);
            ReadCall(begin + 1, *at, &operand);
        } else if (ReadColumn(at, &operand)) {
            operand.kind = Operand::Kind::kColumn;
        } else {
            ++*at;
        }
        const size_t last = std::min(*at, tokens_.size());
        if (last > begin) {
            const char* end = tokens_[last - 1].text.data() + tokens_[last - 1].text.size();
            operand.text = std::string(tokens_[begin].text.data(), end);
        }
        return operand;
    }

    bool EndsCondition(size_t at) const {
        return at >= tokens_.size() || IsKind(at, Kind::kClose) || tokens_[at].text == ";" ||
               (IsKind(at, Kind::kWord) && IsOneOf(words_[at], kEndsCondition));
    }

    void TryComparison(size_t at) {
        if (clauses_.back() != Clause::kWhere) {
            return;
        }
        at += IsWord(at, "not") && !IsKind(at + 1, Kind::kOpen) ? 1 : 0;
        LintComparison made;
        made.left = ReadOperand(&at);
        if (at >= tokens_.size() || (IsWord(at, "not"))) {
            return;
        }
        made.op = words_[at] == "==" ? "=" : words_[at];
        constexpr std::array<std::string_view, 11> kOperators = {
            "=", "<", ">", "<=", ">=", "between", "in", "like", "ilike", "glob", "is"};
        if (!IsOneOf(made.op, kOperators)) {
            return;
        }
        ++at;
        if (made.op == "in" || made.op == "between" || made.op == "is") {
            Add(std::move(made));
            return;
        }
        const size_t right = at;
        made.right = ReadOperand(&at);
        made.has_wildcard = IsKind(right, Kind::kLiteral) && HasNote(right, "%...");
        if (!EndsCondition(at)) {
            made.right.kind = Operand::Kind::kOther;
        }
        Add(std::move(made));
    }

    void Add(LintComparison comparison) {
        using K = Operand::Kind;
        const K left = comparison.left.kind;
        const K right = comparison.right.kind;
        if (left == K::kColumn || left == K::kFunction || left == K::kCast || right == K::kColumn ||
            right == K::kFunction || right == K::kCast) {
            out_.comparisons.push_back(std::move(comparison));
        }
    }

    /// Did capture write this note behind the token?
    bool HasNote(size_t at, std::string_view note) const {
        const size_t begin =
            static_cast<size_t>(tokens_[at].text.data() - sql_.data()) + tokens_[at].text.size();
        const size_t end = at + 1 < tokens_.size()
                               ? static_cast<size_t>(tokens_[at + 1].text.data() - sql_.data())
                               : sql_.size();
        return sql_.substr(begin, end - begin).find(note) != std::string_view::npos;
    }

    /// `NOT IN (SELECT column FROM …` with one plain column.
    void TryNotIn(size_t open) {
        if (!IsKind(open, Kind::kOpen) || !IsWord(open + 1, "select")) {
            return;
        }
        size_t at = open + 2;
        at += IsWord(at, "distinct") ? 1 : 0;
        LintText::NotIn found;
        if (!ReadColumn(&at, &found.column) || !IsWord(at, "from")) {
            return;
        }
        found.column.kind = Operand::Kind::kColumn;
        const size_t behind = BehindClose(open);
        for (; at + 3 < behind; ++at) {
            const bool is_it = IsName(at) && NameOf(tokens_[at]) == found.column.column;
            found.excludes_null =
                found.excludes_null || (is_it && IsWord(at + 1, "is") && IsWord(at + 2, "not")) ||
                (is_it && IsKind(at + 1, Kind::kOperator) && tokens_[at + 1].text != "*");
        }
        out_.not_in.push_back(std::move(found));
    }

    void AddKey(size_t at) {
        LintText::Key key;
        key.operand = ReadOperand(&at);
        key.is_descending = IsWord(at, "desc");
        out_.order.push_back(std::move(key));
    }

    std::string_view sql_;
    std::vector<Token> tokens_;
    std::vector<std::string> words_;  // words in lower case, the rest as it is
    std::vector<Clause> clauses_;     // of the brackets around, outermost first
    size_t at_ = 0;
    bool after_limit_ = false;
    LintText out_;
};

}  // namespace

LintText ScanLintText(std::string_view sql, SqlDialect dialect) {
    return Scanner(sql, dialect).Scan();
}

std::vector<LintNote> NotesOf(std::string_view sql, SqlDialect dialect) {
    std::vector<LintNote> notes;
    Tokenizer tokenizer(sql, dialect);
    Token before = tokenizer.Next();
    while (before.kind != Kind::kEnd) {
        const Token next = tokenizer.Next();
        const size_t begin =
            static_cast<size_t>(before.text.data() - sql.data()) + before.text.size();
        const size_t end = next.kind == Kind::kEnd
                               ? sql.size()
                               : static_cast<size_t>(next.text.data() - sql.data());
        const std::string_view gap = sql.substr(begin, end - begin);
        const size_t open = gap.find("/* ");
        const size_t close = gap.find(" */");
        if (before.kind == Kind::kLiteral && open != std::string_view::npos &&
            close != std::string_view::npos && close > open + 3) {
            LintNote note;
            note.text = gap.substr(open + 3, close - open - 3);
            if (before.text[0] == '$') {
                std::from_chars(before.text.data() + 1, before.text.data() + before.text.size(),
                                note.parameter);
            }
            notes.push_back(std::move(note));
        }
        before = next;
    }
    return notes;
}

}  // namespace upkeep::capture
