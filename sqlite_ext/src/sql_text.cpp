// SPDX-License-Identifier: PostgreSQL
#include "sql_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>

#include "catalog.h"

namespace upkeep::sqlite {

namespace {

// Rows that a LIMIT given as a parameter is taken for.
constexpr double kUnknownLimit = 50;

enum class TokenKind : uint8_t { kWord, kName, kString, kNumber, kParameter, kMark };

struct Token {
    TokenKind kind = TokenKind::kMark;
    std::string_view text;
    int depth = 0;  // open brackets around it
};

bool IsWordByte(char c) {
    return isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
           static_cast<unsigned char>(c) >= 0x80;
}

/// End of what begins at `at` with a quote; a doubled quote goes on.
size_t QuoteEnd(std::string_view sql, size_t at) {
    const char quote = sql[at] == '[' ? ']' : sql[at];
    for (size_t i = at + 1; i < sql.size(); ++i) {
        if (sql[i] == quote) {
            if (quote == ']' || i + 1 >= sql.size() || sql[i + 1] != quote) {
                return i + 1;
            }
            ++i;
        }
    }
    return sql.size();
}

/// End of white space and comments from `at`.
size_t SkipSpace(std::string_view sql, size_t at) {
    while (at < sql.size()) {
        if (isspace(static_cast<unsigned char>(sql[at])) != 0) {
            ++at;
        } else if (sql.substr(at, 2) == "--") {
            at = std::min(sql.find('\n', at), sql.size());
        } else if (sql.substr(at, 2) == "/*") {
            const size_t end = sql.find("*/", at + 2);
            at = end == std::string_view::npos ? sql.size() : end + 2;
        } else {
            break;
        }
    }
    return at;
}

std::vector<Token> Tokens(std::string_view sql) {
    std::vector<Token> tokens;
    int depth = 0;
    for (size_t at = SkipSpace(sql, 0); at < sql.size(); at = SkipSpace(sql, at)) {
        const char c = sql[at];
        size_t end = at + 1;
        Token token;
        if (c == '\'' || c == '"' || c == '`' || c == '[') {
            token.kind = c == '\'' ? TokenKind::kString : TokenKind::kName;
            end = QuoteEnd(sql, at);
        } else if (c == '?' || c == ':' || c == '@') {
            token.kind = TokenKind::kParameter;
        } else if (isdigit(static_cast<unsigned char>(c)) != 0) {
            token.kind = TokenKind::kNumber;
        } else if (IsWordByte(c)) {
            token.kind = TokenKind::kWord;
        }
        if (token.kind == TokenKind::kParameter || token.kind == TokenKind::kNumber ||
            token.kind == TokenKind::kWord) {
            while (end < sql.size() && (IsWordByte(sql[end]) ||
                                        (token.kind == TokenKind::kNumber && sql[end] == '.'))) {
                ++end;
            }
        }
        depth -= c == ')' ? 1 : 0;
        token.text = sql.substr(at, end - at);
        token.depth = depth;
        depth += c == '(' ? 1 : 0;
        tokens.push_back(token);
        at = end;
    }
    return tokens;
}

bool IsWord(const std::vector<Token>& tokens, size_t at, std::string_view word) {
    return at < tokens.size() && tokens[at].kind == TokenKind::kWord &&
           Lower(tokens[at].text) == word;
}

bool IsMark(const std::vector<Token>& tokens, size_t at, char mark) {
    return at < tokens.size() && tokens[at].kind == TokenKind::kMark && tokens[at].text[0] == mark;
}

double RowCount(const std::vector<Token>& tokens, size_t at, double unknown) {
    if (at >= tokens.size() || tokens[at].kind != TokenKind::kNumber) {
        return unknown;
    }
    return strtod(std::string(tokens[at].text).c_str(), nullptr);
}

/// `LIMIT a`, `LIMIT a OFFSET b`, `LIMIT b, a`.
void ReadLimit(const std::vector<Token>& tokens, size_t at, TextFacts* facts) {
    facts->limit = RowCount(tokens, at + 1, kUnknownLimit);
    facts->offset = 0;
    if (IsWord(tokens, at + 2, "offset")) {
        facts->offset = RowCount(tokens, at + 3, 0);
        facts->limit += facts->offset;
    } else if (IsMark(tokens, at + 2, ',')) {
        facts->offset = facts->limit;
        facts->limit += RowCount(tokens, at + 3, kUnknownLimit);
    }
}

std::string Unquoted(const Token& token) {
    if (token.kind != TokenKind::kName || token.text.size() < 2) {
        return Lower(token.text);
    }
    return Lower(token.text.substr(1, token.text.size() - 2));
}

/// The list after `name IN` at `at`, the opening bracket.
InList ListAt(const std::vector<Token>& tokens, size_t at) {
    InList list;
    bool is_constant = true;
    for (size_t i = at + 1; i < tokens.size(); ++i) {
        const Token& token = tokens[i];
        if (IsMark(tokens, i, ')') && token.depth == tokens[at].depth) {
            const char* end = token.text.data() + 1;
            if (is_constant) {
                list.list = std::string(tokens[at].text.data(), end);
            }
            return list;
        }
        if (token.kind == TokenKind::kWord &&
            (Lower(token.text) == "select" || Lower(token.text) == "with" ||
             Lower(token.text) == "values")) {
            return {};
        }
        const bool is_value = token.kind == TokenKind::kString ||
                              token.kind == TokenKind::kNumber ||
                              token.kind == TokenKind::kParameter;
        list.count += is_value ? 1 : 0;
        const bool is_sign = IsMark(tokens, i, ',') || IsMark(tokens, i, '-');
        is_constant = is_constant && (is_sign || (is_value && token.kind != TokenKind::kParameter));
    }
    return {};
}

/// x of `SELECT min(x) FROM …` or `SELECT max(t.x) FROM …`.
std::string ExtremeColumn(const std::vector<Token>& tokens) {
    if (!IsWord(tokens, 0, "select") || !(IsWord(tokens, 1, "min") || IsWord(tokens, 1, "max")) ||
        !IsMark(tokens, 2, '(')) {
        return "";
    }
    const size_t name = IsMark(tokens, 4, '.') ? 5 : 3;
    const bool is_alone = IsMark(tokens, name + 1, ')') && IsWord(tokens, name + 2, "from");
    return is_alone ? Unquoted(tokens[name]) : "";
}

/// `= … `, `< …`, `IN (…`, `BETWEEN …` at `at`; 0: something else.
char ComparisonAt(const std::vector<Token>& tokens, size_t at) {
    if (IsWord(tokens, at, "in")) {
        return 'I';
    }
    if (IsWord(tokens, at, "between")) {
        return '<';
    }
    if (IsMark(tokens, at, '=')) {
        return '=';
    }
    const bool is_unequal = IsMark(tokens, at, '<') && IsMark(tokens, at + 1, '>');
    const bool is_shift = IsMark(tokens, at, '>') && IsMark(tokens, at + 1, '>');
    return !is_unequal && !is_shift && (IsMark(tokens, at, '<') || IsMark(tokens, at, '>')) ? '<'
                                                                                            : '\0';
}

/// May an expression begin here that stands alone on its side of the comparison?
bool BeginsCondition(const std::vector<Token>& tokens, size_t at) {
    if (at == 0) {
        return false;
    }
    for (const std::string_view word : {"where", "and", "or", "on"}) {
        if (IsWord(tokens, at - 1, word)) {
            return true;
        }
    }
    return IsMark(tokens, at - 1, '(');
}

bool IsName(const std::vector<Token>& tokens, size_t at) {
    return at < tokens.size() &&
           (tokens[at].kind == TokenKind::kWord || tokens[at].kind == TokenKind::kName);
}

/// One past the end of the expression that begins at `at`; `at` itself: it is none.
size_t ExpressionEnd(const std::vector<Token>& tokens, size_t at) {
    if (tokens[at].kind == TokenKind::kWord && IsMark(tokens, at + 1, '(')) {
        size_t end = at + 2;
        while (end < tokens.size() &&
               !(IsMark(tokens, end, ')') && tokens[end].depth == tokens[at + 1].depth)) {
            ++end;
        }
        return end < tokens.size() ? end + 1 : at;
    }
    size_t end = IsMark(tokens, at + 1, '.') ? at + 3 : at + 1;
    const size_t column_end = end;
    while (IsMark(tokens, end, '-') && IsMark(tokens, end + 1, '>')) {
        end += IsMark(tokens, end + 2, '>') ? 3 : 2;
        if (end >= tokens.size() ||
            (tokens[end].kind != TokenKind::kString && tokens[end].kind != TokenKind::kNumber)) {
            return at;
        }
        ++end;
    }
    return end > column_end ? end : at;
}

/// Fills all but `op`. False: a parameter or a subquery is in it.
bool ReadExpression(const std::vector<Token>& tokens, size_t begin, size_t end,
                    ComparedExpression* out) {
    bool was_word = false;
    for (size_t i = begin; i < end; ++i) {
        const Token& token = tokens[i];
        if (token.kind == TokenKind::kParameter || IsWord(tokens, i, "select")) {
            return false;
        }
        if (IsName(tokens, i) && IsMark(tokens, i + 1, '.') && i + 2 < end) {
            out->qualifiers.push_back(Unquoted(token));
            ++i;
            continue;
        }
        const bool is_word = token.kind != TokenKind::kMark;
        out->sql += was_word && is_word ? " " : "";
        out->sql += token.text;
        out->sql += IsMark(tokens, i, ',') ? " " : "";
        was_word = is_word;
        if (token.kind == TokenKind::kString) {
            out->strings.push_back(Lower(token.text));
        } else if (IsName(tokens, i)) {
            const bool is_function = IsMark(tokens, i + 1, '(');
            (is_function ? out->functions : out->names).push_back(Unquoted(token));
        }
    }
    return true;
}

}  // namespace

std::vector<ComparedExpression> ScanExpressions(std::string_view sql) {
    std::vector<ComparedExpression> found;
    const std::vector<Token> tokens = Tokens(sql);
    for (size_t i = 1; i + 2 < tokens.size(); ++i) {
        if (!IsName(tokens, i) || !BeginsCondition(tokens, i)) {
            continue;
        }
        const size_t end = ExpressionEnd(tokens, i);
        ComparedExpression expression;
        expression.op = end > i ? ComparisonAt(tokens, end) : '\0';
        if (expression.op != '\0' && ReadExpression(tokens, i, end, &expression)) {
            found.push_back(std::move(expression));
        }
    }
    return found;
}

TextFacts ScanText(std::string_view sql) {
    constexpr std::array<std::string_view, 7> kAggregates = {"count", "sum",   "avg",         "min",
                                                             "max",   "total", "group_concat"};
    TextFacts facts;
    const std::vector<Token> tokens = Tokens(sql);
    facts.extreme_column = ExtremeColumn(tokens);
    for (size_t i = 0; i < tokens.size(); ++i) {
        if (tokens[i].kind != TokenKind::kWord) {
            continue;
        }
        const std::string word = Lower(tokens[i].text);
        if (word == "limit") {
            facts.has_limit = true;
            if (tokens[i].depth == 0) {
                ReadLimit(tokens, i, &facts);
            }
        } else if (word == "where") {
            facts.has_condition = true;
        } else if (word == "replace" && IsWord(tokens, i + 1, "into")) {
            facts.replaces = true;
        } else if (word == "exists") {
            facts.has_exists = true;
        } else if (word == "in" && i > 0 && IsMark(tokens, i + 1, '(')) {
            const size_t column = IsWord(tokens, i - 1, "not") && i > 1 ? i - 2 : i - 1;
            facts.in_lists[Unquoted(tokens[column])].push_back(ListAt(tokens, i + 1));
        } else if (IsMark(tokens, i + 1, '(') && tokens[i].depth == 0) {
            for (const std::string_view aggregate : kAggregates) {
                facts.has_aggregate = facts.has_aggregate || word == aggregate;
            }
        }
    }
    return facts;
}

std::string RecordableText(std::string_view sql) {
    std::string kept(sql);
    const std::vector<Token> tokens = Tokens(sql);
    for (size_t i = 1; i + 1 < tokens.size(); ++i) {
        const auto begin = static_cast<size_t>(tokens[i].text.data() - sql.data());
        const bool is_upsert = IsWord(tokens, i, "on") && IsWord(tokens, i + 1, "conflict");
        if (tokens[i].depth == 0 && (is_upsert || IsWord(tokens, i, "returning"))) {
            return kept.substr(0, begin);
        }
        if (IsWord(tokens, i, "indexed") && IsWord(tokens, i + 1, "by") && i + 2 < tokens.size()) {
            const std::string_view last = tokens[i + 2].text;
            const auto end = static_cast<size_t>(last.data() + last.size() - sql.data());
            std::fill(kept.begin() + static_cast<std::ptrdiff_t>(begin),
                      kept.begin() + static_cast<std::ptrdiff_t>(end), ' ');
        }
    }
    return kept;
}

std::vector<std::string> IndexedBy(std::string_view sql) {
    std::vector<std::string> names;
    const std::vector<Token> tokens = Tokens(sql);
    for (size_t i = 0; i + 2 < tokens.size(); ++i) {
        if (IsWord(tokens, i, "indexed") && IsWord(tokens, i + 1, "by")) {
            names.push_back(Unquoted(tokens[i + 2]));
        }
    }
    return names;
}

IndexText ScanIndex(std::string_view create_index) {
    IndexText index;
    const std::vector<Token> tokens = Tokens(create_index);
    size_t at = 0;
    while (at < tokens.size() && !(IsMark(tokens, at, '(') && tokens[at].depth == 0)) {
        ++at;
    }
    const char* begin = nullptr;
    const char* end = nullptr;
    for (++at; at < tokens.size(); ++at) {
        const bool is_close = IsMark(tokens, at, ')') && tokens[at].depth == 0;
        if (is_close || (IsMark(tokens, at, ',') && tokens[at].depth == 1)) {
            index.keys.emplace_back(begin == nullptr ? std::string() : std::string(begin, end));
            begin = nullptr;
            if (is_close) {
                break;
            }
            continue;
        }
        const bool is_direction =
            tokens[at].depth == 1 && (IsWord(tokens, at, "asc") || IsWord(tokens, at, "desc"));
        if (!is_direction) {
            begin = begin == nullptr ? tokens[at].text.data() : begin;
            end = tokens[at].text.data() + tokens[at].text.size();
        }
    }
    if (IsWord(tokens, at + 1, "where") && at + 2 < tokens.size()) {
        size_t last = tokens.size() - 1;
        last -= IsMark(tokens, last, ';') && last > at + 2 ? 1 : 0;
        index.predicate = std::string(tokens[at + 2].text.data(),
                                      tokens[last].text.data() + tokens[last].text.size());
    }
    return index;
}

bool NamesColumn(std::string_view expression, std::string_view column) {
    const std::vector<Token> tokens = Tokens(expression);
    return std::any_of(tokens.begin(), tokens.end(), [&](const Token& token) {
        return (token.kind == TokenKind::kWord || token.kind == TokenKind::kName) &&
               Unquoted(token) == Lower(column);
    });
}

bool IsCreateIndex(std::string_view sql) {
    const std::vector<Token> tokens = Tokens(sql.substr(0, 1000));
    return IsWord(tokens, 0, "create") &&
           IsWord(tokens, IsWord(tokens, 1, "unique") ? 2 : 1, "index");
}

}  // namespace upkeep::sqlite
