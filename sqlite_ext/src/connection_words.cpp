// SPDX-License-Identifier: PostgreSQL
#include "connection_words.h"

#include <algorithm>
#include <string>

#include "upkeep/capture/quoted_words.h"

namespace upkeep::sqlite {

namespace {

class Words final : public capture::Vocabulary {
  public:
    explicit Words(sqlite3* db) : db_(db) {}
    Words(const Words&) = delete;
    Words& operator=(const Words&) = delete;

    /// A column that is not there leaves "no such table column" on the connection, which would be
    /// what sqlite3_errmsg says after a step that ends well (a step sets the code, not the text):
    /// a look that succeeds takes it away. What a failing step says is written when it fails.
    ~Words() override {
        if (has_failed_) {
            Has("main", "sqlite_master", nullptr);
        }
    }

    bool IsKeyword(std::string_view word) override {
        return sqlite3_keyword_check(word.data(), static_cast<int>(word.size())) != 0;
    }

    bool IsColumn(std::string_view tables, const std::string& name) override {
        while (!tables.empty()) {
            const size_t end = std::min(tables.find('\n'), tables.size());
            std::string_view table = tables.substr(0, end);
            tables.remove_prefix(std::min(end + 1, tables.size()));
            const size_t dot = table.find('.');
            const bool has_schema = dot != std::string_view::npos;
            const std::string schema(table.substr(0, has_schema ? dot : 0));
            table.remove_prefix(has_schema ? dot + 1 : 0);
            if (Has(has_schema ? schema.c_str() : nullptr, std::string(table).c_str(),
                    name.c_str())) {
                return true;
            }
        }
        return false;
    }

  private:
    bool Has(const char* schema, const char* table, const char* column) {
        const int code = sqlite3_table_column_metadata(db_, schema, table, column, nullptr, nullptr,
                                                       nullptr, nullptr, nullptr);
        has_failed_ = has_failed_ || code != SQLITE_OK;
        return code == SQLITE_OK;
    }

    sqlite3* db_;
    bool has_failed_ = false;
};

}  // namespace

std::vector<uint32_t> StringsOf(sqlite3_stmt* stmt, std::string_view sql) {
    if (sql.find('"') == std::string_view::npos) {
        return {};
    }
    Words words(sqlite3_db_handle(stmt));
    return capture::QuotedStrings(sql, words);
}

}  // namespace upkeep::sqlite
