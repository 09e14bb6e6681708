// SPDX-License-Identifier: PostgreSQL
#include "traced_statement.h"

#include <cstring>

#include "connection_words.h"
#include "upkeep/capture/endpoint_tag.h"
#include "upkeep/capture/normalize.h"
#include "upkeep/capture/statement_kind.h"

namespace upkeep::sqlite {

namespace {

uint64_t Hash(std::string_view text, uint64_t seed) {
    uint64_t hash = seed ^ text.size();
    for (; text.size() >= 8; text.remove_prefix(8)) {
        uint64_t word = 0;
        memcpy(&word, text.data(), 8);
        hash = capture::Mix(hash ^ word);
    }
    uint64_t rest = 0;
    memcpy(&rest, text.data(), text.size());
    return capture::Mix(hash ^ rest ^ 1);
}

bool IsWordByte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80) != 0;
}

/// Is `word` there as a whole word, or (`as_prefix`) at the beginning of one?
bool HasWord(std::string_view text, std::string_view word, bool as_prefix = false) {
    for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
        const size_t end = at + word.size();
        const bool begins = at == 0 || !IsWordByte(text[at - 1]);
        if (begins && (as_prefix || end == text.size() || !IsWordByte(text[end]))) {
            return true;
        }
    }
    return false;
}

std::string_view FirstWord(std::string_view text) {
    size_t end = 0;
    while (end < text.size() && IsWordByte(text[end])) {
        ++end;
    }
    return text.substr(0, end);
}

Kind KindOf(std::string_view normalized) {
    const std::string_view word = FirstWord(normalized);
    if (word == "insert") {
        const bool is_plain = HasWord(normalized, "values") && !HasWord(normalized, "or") &&
                              !HasWord(normalized, "conflict") && !HasWord(normalized, "select");
        return is_plain ? Kind::kPlainInsert : Kind::kOther;
    }
    if (word == "begin") {
        return Kind::kBegin;
    }
    const bool ends =
        word == "commit" || word == "end" || (word == "rollback" && !HasWord(normalized, "to"));
    return ends ? Kind::kEnd : Kind::kOther;
}

}  // namespace

TextMark::TextMark(std::string_view text) : bytes_(text.size()) {
    if (text.size() <= kWhole) {
        text_ = text;
    } else {
        hashes_[0] = Hash(text, 1);
        hashes_[1] = Hash(text, 2);
    }
}

bool TextMark::IsLong(const char* text) const {
    const std::string_view other(text);
    return other.size() == bytes_ && Hash(other, 1) == hashes_[0] && Hash(other, 2) == hashes_[1];
}

TracedStatement Describe(sqlite3_stmt* stmt, std::string_view sql, std::string* normalized) {
    TracedStatement made;
    made.text = TextMark(sql);
    made.strings = StringsOf(stmt, sql);
    *normalized = capture::NormalizeWithNotes(sql, capture::SqlDialect::kSqlite, made.strings);
    const bool has_notes = normalized->find("/*") != std::string::npos;
    made.fingerprint = capture::Fingerprint(
        has_notes ? capture::Normalize(sql, capture::SqlDialect::kSqlite, made.strings)
                  : *normalized);
    made.operation = capture::OperationOf(*normalized);
    made.kind = KindOf(*normalized);
    made.is_own = HasWord(*normalized, "upkeep_", /*as_prefix=*/true) ||
                  HasWord(*normalized, "_upkeep_", /*as_prefix=*/true);
    made.tables = capture::TablesOf(*normalized);
    made.has_columns = sqlite3_column_count(stmt) > 0;
    capture::EndpointName endpoint;
    if (capture::FindEndpoint(sql, capture::SqlDialect::kSqlite, &endpoint)) {
        made.endpoint.Set(endpoint.view());
    }
    return made;
}

const char* FailureOf(sqlite3* db, sqlite3_stmt* stmt, const TracedStatement& statement) {
    if (statement.rows == 0 && sqlite3_stmt_busy(stmt) != 0) {
        return "SQLITE_BUSY";
    }
    const bool in_transaction = sqlite3_get_autocommit(db) == 0;
    switch (statement.kind) {
        case Kind::kPlainInsert:
            // A trigger may have told it to ignore the row, or be what a view does instead.
            return !statement.ran_trigger && sqlite3_changes(db) == 0 ? "SQLITE_CONSTRAINT"
                                                                      : nullptr;
        case Kind::kBegin:
            return statement.began_in_transaction ? "SQLITE_ERROR" : nullptr;
        case Kind::kEnd:
            return !statement.began_in_transaction || in_transaction ? "SQLITE_ERROR" : nullptr;
        case Kind::kOther:
            break;
    }
    return nullptr;
}

}  // namespace upkeep::sqlite
