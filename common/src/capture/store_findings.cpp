// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/store_findings.h"

#include <algorithm>

#include "tokenizer.h"
#include "upkeep/capture/statement_kind.h"

namespace upkeep::capture {

namespace {

/// The hosts' own tables: nobody can have their readers mended.
bool IsCatalog(std::string_view table) {
    return table.starts_with("pg_") || table.starts_with("sqlite_") ||
           table.starts_with("information_schema.");
}

bool ReadsApplication(std::string_view normalized) {
    const std::string tables = TablesOf(normalized);
    std::string_view rest = tables;
    while (!rest.empty()) {
        const std::string_view table = rest.substr(0, rest.find('\n'));
        if (!IsCatalog(table)) {
            return true;
        }
        rest.remove_prefix(std::min(table.size() + 1, rest.size()));
    }
    return false;
}

bool IsWord(const Token& token, std::string_view lower) {
    return token.kind == Kind::kWord &&
           std::equal(token.text.begin(), token.text.end(), lower.begin(), lower.end(),
                      [](char left, char right) { return Lower(left) == right; });
}

FindingKey InDatabase(FindingKey key, uint32_t database) {
    key.database = database;
    return key;
}

}  // namespace

ChildText DescribeChild(std::string_view text, SqlDialect dialect) {
    const std::string normalized = Normalize(text, dialect);
    ChildText told;
    told.reads_table = ReadsApplication(normalized);
    bool has_limit = false;
    bool has_comparison = false;
    std::string_view before;
    Tokenizer tokenizer(normalized, SqlDialect::kSqlite);  // where `?` is a value
    for (Token token = tokenizer.Next(); token.kind != Kind::kEnd; token = tokenizer.Next()) {
        const std::string_view word = token.text;
        if (token.kind == Kind::kWord) {
            told.is_page = told.is_page || word == "offset";
            has_limit = has_limit || word == "limit" || word == "fetch";
        } else if (token.kind == Kind::kOperator) {
            has_comparison =
                has_comparison || word == "<" || word == ">" || word == "<=" || word == ">=";
        } else if (token.kind == Kind::kOpen && (before == "any" || before == "some")) {
            told.has_list = true;
        }
        before = word;
    }
    told.has_list = told.has_list || normalized.find(" in (?") != std::string::npos ||
                    normalized.find(" in (values") != std::string::npos;
    told.may_be_page = has_limit && has_comparison;
    return told;
}

bool HasZeroOffset(std::string_view text, SqlDialect dialect) {
    Tokenizer tokenizer(text, dialect);
    bool is_after = false;
    for (Token token = tokenizer.Next(); token.kind != Kind::kEnd; token = tokenizer.Next()) {
        if (is_after && token.kind == Kind::kLiteral && token.text == "0") {
            return true;
        }
        is_after = IsWord(token, "offset");
    }
    return false;
}

std::string_view QueryOfCursor(std::string_view declare, SqlDialect dialect) {
    bool is_cursor = false;
    Tokenizer tokenizer(declare, dialect);
    for (Token token = tokenizer.Next(); token.kind != Kind::kEnd; token = tokenizer.Next()) {
        if (is_cursor && IsWord(token, "for")) {
            const auto end = static_cast<size_t>(token.text.data() - declare.data());
            std::string_view query = declare.substr(end + token.text.size());
            while (!query.empty() && IsSpace(query.front())) {
                query.remove_prefix(1);
            }
            return query;
        }
        is_cursor = is_cursor || IsWord(token, "cursor");
    }
    return {};
}

ChildText StoreFindings::TextOf(const Finished& child) {
    const std::optional<std::string> text =
        store_.texts().Read(database_, child.fingerprint, child.user);
    ChildText told = text ? DescribeChild(*text, dialect_) : ChildText();
    told.is_page = told.is_page && !HasZeroOffset(running_, dialect_);
    return told;
}

void StoreFindings::Add(const FindingKey& key, const FindingTotals& totals) {
    store_.findings().Add(InDatabase(key, database_), totals);
}

void StoreFindings::TakeBack(const FindingKey& key, const FindingTotals& totals) {
    store_.findings().TakeBack(InDatabase(key, database_), totals);
}

}  // namespace upkeep::capture
