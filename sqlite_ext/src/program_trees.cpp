// SPDX-License-Identifier: PostgreSQL
#include "program_trees.h"

#include <algorithm>
#include <cctype>

#include "stmt.h"
#include "upkeep/capture/normalize.h"

namespace upkeep::sqlite {

namespace {

/// Columns of EXPLAIN, and the flag by which OpenRead names a register, not a page.
enum ExplainColumn { kAddress = 0, kOpcode = 1, kCursor = 2, kPage = 3, kDatabase = 4, kFlags = 6 };
constexpr int64_t kPageIsRegister = 0x10;

bool Reads(std::string_view opcode) {
    return opcode.starts_with("Seek") || opcode == "Rewind" || opcode == "Last";
}

/// Follows the cursors of one program after the other.
class Listing {
  public:
    Listing(const TreeSchema& schema, ProgramTrees* trees) : schema_(schema), trees_(trees) {}

    void Take(const Stmt& row) {
        if (row.Integer(kAddress) == 0) {  // the next one: a trigger's, a foreign key's
            trees_->has_triggers = ++programs_ > 1;
            written_.clear();
            tables_.clear();
        }
        const std::string_view opcode = row.Text(kOpcode);
        if (opcode == "OpenRead" || opcode == "ReopenIdx" || opcode == "OpenWrite") {
            Open(row, opcode != "OpenWrite");
        } else if (Reads(opcode)) {
            // An index that is opened for writing is maintained; it is used where its cursor also
            // seeks.
            if (const auto index = written_.find(row.Integer(kCursor)); index != written_.end()) {
                trees_->indexes.insert(index->second);
            }
            const auto table = tables_.find(row.Integer(kCursor));
            if (opcode == "Rewind" && table != tables_.end()) {
                trees_->whole_tables.insert(table->second);
            }
        } else if (opcode == "IdxInsert" || opcode == "IdxDelete") {
            Write(row.Integer(kCursor), opcode == "IdxInsert");
        }
    }

  private:
    void Open(const Stmt& row, bool is_for_reading) {
        if (row.Integer(kDatabase) != 0 || (row.Integer(kFlags) & kPageIsRegister) != 0) {
            return;
        }
        if (const auto table = schema_.tables_by_page.find(row.Integer(kPage));
            table != schema_.tables_by_page.end()) {
            tables_[row.Integer(kCursor)] = table->second;
        }
        const auto index = schema_.indexes_by_page.find(row.Integer(kPage));
        if (index == schema_.indexes_by_page.end()) {
            return;
        }
        if (is_for_reading) {
            trees_->indexes.insert(index->second);
        } else {
            written_[row.Integer(kCursor)] = index->second;
        }
    }

    void Write(int64_t cursor, bool inserts) {
        const auto index = written_.find(cursor);
        if (programs_ == 1 && index != written_.end() &&
            done_.emplace(index->second, inserts).second) {
            ++trees_->written[index->second];
        }
    }

    const TreeSchema& schema_;
    ProgramTrees* trees_;
    int programs_ = 0;
    std::map<int64_t, std::string> written_, tables_;  // by cursor, of the program being listed
    std::set<std::pair<std::string, bool>> done_;      // one code path of several is enough
};

}  // namespace

std::string TreeVersion(sqlite3* db) {
    Stmt cookie(db, "PRAGMA main.schema_version");
    cookie.Step();
    int64_t statistics = 0;
    Result<Stmt> stat = Stmt::Prepare(db, "SELECT tbl, idx, stat FROM main.sqlite_stat1");
    while (stat.ok() && stat.value().Step()) {
        std::string row;
        for (int column = 0; column < 3; ++column) {
            row += std::string(stat.value().Text(column)) + '\n';
        }
        statistics ^= capture::Fingerprint(row);
    }
    return std::to_string(cookie.Integer(0)) + ":" + std::to_string(statistics);
}

TreeSchema ReadTreeSchema(sqlite3* db) {
    TreeSchema schema;
    Stmt rows(db,
              "SELECT type, lower(name), lower(tbl_name), rootpage, sql FROM main.sqlite_schema");
    while (rows.Step()) {
        const std::string name(rows.Text(1));
        if (rows.Text(0) == "table") {
            schema.tables.insert(name);
            schema.tables_by_page[rows.Integer(3)] = name;
        } else if (rows.Text(0) == "index") {
            IndexFacts& facts = schema.indexes[name];
            facts.table = rows.Text(2);
            schema.indexes_by_page[rows.Integer(3)] = name;
        }
    }
    Stmt expressions(db,
                     "SELECT lower(m.name) FROM main.sqlite_schema AS m WHERE type = 'index' AND"
                     " (EXISTS (SELECT 1 FROM pragma_index_list(m.tbl_name, 'main') AS l"
                     "  WHERE l.name = m.name AND l.partial) OR EXISTS"
                     " (SELECT 1 FROM pragma_index_info(m.name, 'main') AS i WHERE i.cid = -2))");
    while (expressions.Step()) {
        schema.indexes[std::string(expressions.Text(0))].needs_values = true;
    }
    schema.version = TreeVersion(db);
    return schema;
}

std::optional<ProgramTrees> ReadProgram(sqlite3* db, const TreeSchema& schema,
                                        const std::string& sql) {
    Result<Stmt> steps = Stmt::Prepare(db, "EXPLAIN " + sql);
    if (!steps.ok() || steps.value().empty()) {
        return std::nullopt;
    }
    ProgramTrees trees;
    trees.has_parameters = sqlite3_bind_parameter_count(steps.value().get()) > 0;
    Listing listing(schema, &trees);
    while (steps.value().Step()) {
        listing.Take(steps.value());
    }
    return trees;
}

bool HasAnyWord(std::string_view text, std::initializer_list<std::string_view> words) {
    const auto is_part = [](char c) { return c == '_' || c == '$' || isalnum(c) != 0 || c < 0; };
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
        for (size_t at = text.find(word); at != std::string_view::npos;
             at = text.find(word, at + 1)) {
            const size_t end = at + word.size();
            if ((at == 0 || !is_part(text[at - 1])) &&
                (end == text.size() || !is_part(text[end]))) {
                return true;
            }
        }
        return false;
    });
}

}  // namespace upkeep::sqlite
