// Words in double quotes that SQLite takes for strings: `a = "x"` compares with a string unless a
// column has that name. Whoever masks literals has to know, or shows what the application sent.
// In doubt a word is a string: one name less in a shown text does no harm.
// Not for: PostgreSQL, where such a word is always a name. SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace upkeep::capture {

/// What only the host knows of a word. Asked a bounded number of times for one text.
class Vocabulary {
  public:
    Vocabulary() = default;
    virtual ~Vocabulary() = default;
    Vocabulary(const Vocabulary&) = delete;
    Vocabulary& operator=(const Vocabulary&) = delete;
    virtual bool IsKeyword(std::string_view word) = 0;
    /// `tables`: those of the statement, as TablesOf writes them.
    virtual bool IsColumn(std::string_view tables, const std::string& name) = 0;
};

/// Byte offsets of those words in `sql` (ascending), for Normalize. A word is a name where the
/// grammar wants one (FROM, AS, before a dot …), where the same statement uses it as one in such a
/// place, and where a table of the statement has such a column.
std::vector<uint32_t> QuotedStrings(std::string_view sql, Vocabulary& vocabulary);

}  // namespace upkeep::capture
