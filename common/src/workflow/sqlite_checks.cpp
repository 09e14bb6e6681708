// CHECK constraints out of SQLite's text of a table.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>

#include "upkeep/workflow/install.h"

namespace upkeep::workflow {

namespace {

bool IsWordByte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

size_t After(std::string_view text, std::string_view end, size_t at) {
    const size_t found = text.find(end, at);
    return found == std::string_view::npos ? text.size() : found + end.size();
}

/// Where the token that begins at `at` ends: a literal, a quoted name, a comment, a word or one
/// other byte. A doubled quote is two tokens, which does no harm here.
size_t EndOfToken(std::string_view text, size_t at) {
    const char c = text[at];
    if (c == '\'' || c == '"' || c == '`') {
        return After(text, text.substr(at, 1), at + 1);
    }
    if (c == '[') {
        return After(text, "]", at + 1);
    }
    if (text.substr(at, 2) == "--") {
        return After(text, "\n", at);
    }
    if (text.substr(at, 2) == "/*") {
        return After(text, "*/", at + 2);
    }
    size_t end = at + 1;
    while (IsWordByte(c) && end < text.size() && IsWordByte(text[end])) {
        ++end;
    }
    return end;
}

bool IsCheck(std::string_view word) {
    constexpr std::string_view kWord = "check";
    return word.size() == kWord.size() &&
           std::equal(word.begin(), word.end(), kWord.begin(),
                      [](char found, char wanted) { return (found | 0x20) == wanted; });
}

/// Where the bracket that opens at `at` is closed, behind it.
size_t EndOfBracket(std::string_view text, size_t at) {
    int depth = 0;
    while (at < text.size()) {
        const size_t end = EndOfToken(text, at);
        depth += text[at] == '(' ? 1 : text[at] == ')' ? -1 : 0;
        at = end;
        if (depth == 0) {
            break;
        }
    }
    return at;
}

}  // namespace

std::vector<std::string> SqliteChecks(std::string_view create_table) {
    std::vector<std::string> out;
    for (size_t at = 0; at < create_table.size();) {
        const size_t end = EndOfToken(create_table, at);
        const bool is_check = IsCheck(create_table.substr(at, end - at));
        at = end;
        if (!is_check) {
            continue;
        }
        const size_t open =
            std::min(create_table.find_first_not_of(" \t\r\n", at), create_table.size());
        if (open < create_table.size() && create_table[open] == '(') {
            at = EndOfBracket(create_table, open);
            out.push_back("CHECK " + std::string(create_table.substr(open, at - open)));
        }
    }
    return out;
}

}  // namespace upkeep::workflow
