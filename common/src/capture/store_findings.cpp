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
            has_comparison = has_comparison || word == "<" || word == ">" || word == "<=" ||
                             word == ">=";
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

std::string_view QueryOfCursor(std::string_view declare, SqlDialect dialect) {
    bool is_cursor = false;
    Tokenizer tokenizer(declare, dialect);
    for (Token token = tokenizer.Next(); token.kind != Kind::kEnd; token = tokenizer.Next()) {
        if (token.kind != Kind::kWord) {
            continue;
        }
        std::string word(token.text);
        std::transform(word.begin(), word.end(), word.begin(), [](char c) { return Lower(c); });
        if (is_cursor && word == "for") {
            const auto end = static_cast<size_t>(token.text.data() - declare.data());
            return declare.substr(std::min(end + token.text.size() + 1, declare.size()));
        }
        is_cursor = is_cursor || word == "cursor";
    }
    return {};
}

ChildText StoreFindings::TextOf(const Finished& child) {
    const std::optional<std::string> text =
        store_.texts().Read(database_, child.fingerprint, child.user);
    return text ? DescribeChild(*text, dialect_) : ChildText();
}

void StoreFindings::Add(const FindingKey& key, const FindingTotals& totals) {
    store_.findings().Add(InDatabase(key, database_), totals);
}

void StoreFindings::TakeBack(const FindingKey& key, const FindingTotals& totals) {
    store_.findings().TakeBack(InDatabase(key, database_), totals);
}

}  // namespace upkeep::capture
