// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/sql_split.h"

#include <algorithm>

namespace upkeep {

namespace {

constexpr std::string_view kSpace = " \t\n\r\f\v";

/// Position behind `close`, searched from `from`; the end of the text if it never comes.
size_t Behind(std::string_view sql, size_t from, std::string_view close) {
    const size_t found = sql.find(close, from);
    return found == std::string_view::npos ? sql.size() : found + close.size();
}

/// End of the comment at `at`; `at` itself: no comment starts there.
size_t CommentEnd(std::string_view sql, size_t at) {
    const std::string_view start = sql.substr(at, 2);
    if (start == "--") {
        return Behind(sql, at, "\n");
    }
    return start == "/*" ? Behind(sql, at + 2, "*/") : at;
}

/// End of the string or quoted name at `at`; `at` itself: none starts there. A doubled quote needs
/// no care: it ends one run and starts the next.
size_t QuoteEnd(std::string_view sql, size_t at) {
    switch (sql[at]) {
        case '\'':
        case '"':
        case '`':
            return Behind(sql, at + 1, sql.substr(at, 1));
        case '[':
            return Behind(sql, at + 1, "]");
        default:
            return at;
    }
}

}  // namespace

std::vector<std::string_view> SplitSql(std::string_view sql) {
    std::vector<std::string_view> statements;
    size_t begin = std::string_view::npos;  // first byte of the statement that is no comment
    size_t end = 0;                         // behind its last such byte
    auto close = [&] {
        if (begin != std::string_view::npos) {
            statements.push_back(sql.substr(begin, end - begin));
        }
        begin = std::string_view::npos;
    };
    size_t at = 0;
    while (at < sql.size()) {
        if (const size_t behind = CommentEnd(sql, at); behind > at) {
            at = behind;
            continue;
        }
        if (sql[at] == ';') {
            close();
            ++at;
            continue;
        }
        const size_t behind = std::max(QuoteEnd(sql, at), at + 1);
        if (kSpace.find(sql[at]) == std::string_view::npos) {
            begin = std::min(begin, at);
            end = behind;
        }
        at = behind;
    }
    close();
    return statements;
}

}  // namespace upkeep
