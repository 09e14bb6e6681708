// SPDX-License-Identifier: PostgreSQL
#include "replica.h"

#include <algorithm>
#include <cstdlib>

#include "private_copy.h"
#include "recorder.h"

namespace upkeep::sqlite {

namespace {

bool IsInternal(std::string_view name) {
    return Lower(name.substr(0, 7)) == "sqlite_";
}

/// Virtual tables that every SQLite makes without touching files; of others only the columns are
/// copied, since a module may do anything when its table is made.
bool IsHarmlessModule(const std::string& sql) {
    const std::string lower = Lower(sql);
    const size_t at = lower.find("using");
    const size_t from = at == std::string::npos ? at : lower.find_first_not_of(" \t\r\n", at + 5);
    if (from == std::string::npos) {
        return false;
    }
    const std::string module = lower.substr(from, lower.find_first_of(" (\t\r\n;", from) - from);
    for (const char* known : {"fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly"}) {
        if (module == known) {
            return true;
        }
    }
    return false;
}

}  // namespace

Replica::Replica(sqlite3* caller, const Catalog& catalog, Statistics statistics)
    : copy_(OpenPrivateCopy(caller, catalog)) {
    RegisterStandIn(copy_.get(), nullptr);
    copy_.Execute("BEGIN");
    CopyTables(caller, catalog);
    for (const CatalogObject& index : catalog.indexes()) {
        TryCreate(index.name, WithSchema(index.sql, index.schema), true);
    }
    for (const CatalogObject& trigger : catalog.triggers()) {
        TryCreate(trigger.name, WithSchema(trigger.sql, trigger.schema), false);
    }
    copy_.Execute("COMMIT");
    for (const std::string& schema : catalog.schemas()) {
        if (statistics == Statistics::kEmpty) {
            copy_.Execute("ANALYZE " + Quoted(schema) + ".sqlite_schema");
            analysed_.insert(Lower(schema));
        } else if (catalog.Find(schema, "sqlite_stat1") != nullptr) {
            CopyStatistics(caller, schema);
        }
    }
}

void Replica::CopyTables(sqlite3* caller, const Catalog& catalog) {
    // Virtual tables first: they make their shadow tables themselves.
    for (const CatalogTable& table : catalog.tables()) {
        if (table.kind != TableKind::kVirtual) {
            continue;
        }
        if (IsHarmlessModule(table.sql)) {
            TryCreate(table.name, WithSchema(table.sql, table.schema), false);
        }
        if (!IsHarmlessModule(table.sql) || Missing(table.name) != nullptr) {
            missing_.erase(Lower(table.name));
            TryCreate(table.name, StandInSql(table, ReadColumns(caller, table.schema, table.name)),
                      false);
        }
    }
    for (const TableKind kind : {TableKind::kTable, TableKind::kShadow, TableKind::kView}) {
        for (const CatalogTable& table : catalog.tables()) {
            if (table.kind == kind && !IsInternal(table.name)) {
                TryCreate(table.name, WithSchema(table.sql, table.schema),
                          kind == TableKind::kShadow);
            }
        }
    }
}

void Replica::TryCreate(const std::string& name, const std::string& sql, bool may_exist) {
    Result<Stmt> made = Stmt::Prepare(copy_.get(), sql);
    if (made.ok() && sqlite3_step(made.value().get()) == SQLITE_DONE) {
        return;
    }
    const std::string reason = made.ok() ? sqlite3_errmsg(copy_.get()) : made.error().message();
    if (!may_exist || reason.find("already exists") == std::string::npos) {
        missing_.emplace(Lower(name), reason);
    }
}

void Replica::CopyStatistics(sqlite3* caller, const std::string& schema) {
    // Analyses no table, but makes the statistics tables.
    copy_.Execute("ANALYZE " + Quoted(schema) + ".sqlite_schema");
    analysed_.insert(Lower(schema));
    Stmt insert(copy_.get(), "INSERT INTO " + Quoted(schema) +
                                 ".sqlite_stat1(tbl, idx, stat) VALUES(?1, ?2, ?3)");
    Stmt rows(caller, "SELECT tbl, idx, stat FROM " + Quoted(schema) + ".sqlite_stat1");
    while (rows.Step()) {
        for (int column = 0; column < 3; ++column) {
            sqlite3_bind_value(insert.get(), column + 1, sqlite3_column_value(rows.get(), column));
        }
        insert.Run();
        insert.Reset();
        // Later rows of a table win, as when SQLite loads them; partial indexes count fewer rows.
        const double count = strtod(std::string(rows.Text(2)).c_str(), nullptr);
        double& known = rows_[KeyOf(schema, rows.Text(0))];
        known = std::max(known, count);
    }
    // STAT4 is a build option of the library; where it has it, samples change plans too.
    Result<Stmt> insert4 = Stmt::Prepare(
        copy_.get(), "INSERT INTO " + Quoted(schema) + ".sqlite_stat4 VALUES(?1,?2,?3,?4,?5,?6)");
    Result<Stmt> rows4 = Stmt::Prepare(
        caller, "SELECT tbl,idx,neq,nlt,ndlt,sample FROM " + Quoted(schema) + ".sqlite_stat4");
    while (insert4.ok() && rows4.ok() && rows4.value().Step()) {
        for (int column = 0; column < 6; ++column) {
            sqlite3_bind_value(insert4.value().get(), column + 1,
                               sqlite3_column_value(rows4.value().get(), column));
        }
        insert4.value().Run();
        insert4.value().Reset();
    }
    copy_.Execute("ANALYZE " + Quoted(schema) + ".sqlite_schema");
}

const std::string* Replica::Missing(std::string_view name) const {
    const auto found = missing_.find(Lower(name));
    return found == missing_.end() ? nullptr : &found->second;
}

bool Replica::HasStatistics(const std::string& schema) const {
    return analysed_.count(Lower(schema)) != 0;
}

std::optional<double> Replica::AnalysedRows(std::string_view schema, std::string_view table) const {
    const auto found = rows_.find(KeyOf(schema, table));
    return found == rows_.end() ? std::nullopt : std::optional<double>(found->second);
}

void Replica::AddStatistics(const std::string& schema, const std::string& table,
                            const std::string& index, const std::string& stat) {
    Stmt row(copy_.get(),
             "INSERT INTO " + Quoted(schema) + ".sqlite_stat1(tbl, idx, stat) VALUES(?1, ?2, ?3)");
    row.Bind(1, table);
    if (!index.empty()) {
        row.Bind(2, index);
    }
    row.Bind(3, stat).Run();
}

void Replica::LoadStatistics(const std::string& schema) {
    copy_.Execute("ANALYZE " + Quoted(schema) + ".sqlite_schema");
}

void Replica::Show(const std::set<TableKey>& tables,
                   const std::vector<const HypotheticalIndex*>& wanted, bool are_analysed) {
    std::set<std::string> stale;  // schemas whose statistics must be read again
    for (const TableKey& table : tables) {
        std::vector<const HypotheticalIndex*> target;
        for (const HypotheticalIndex* index : wanted) {
            if (KeyOf(index->schema, index->table) == table) {
                target.push_back(index);
            }
        }
        std::vector<const HypotheticalIndex*>& shown = shown_[table];
        const bool is_less = DropOthers(target, &shown);
        const auto common = std::mismatch(shown.begin(), shown.end(), target.begin(), target.end());
        const size_t kept = static_cast<size_t>(common.first - shown.begin());
        // An index without a row makes SQLite forget that its table is small, and so it stays after
        // the index is gone: every change asks for reading the statistics again.
        const bool is_changed = is_less || shown.size() > kept || target.size() > kept;
        if (HasStatistics(table.first) && is_changed) {
            stale.insert(table.first);
        }
        while (shown.size() > kept) {
            Drop(*shown.back());
            shown.pop_back();
        }
        for (size_t i = kept; i < target.size(); ++i) {
            Create(*target[i], are_analysed);
            shown.push_back(target[i]);
        }
    }
    for (const std::string& schema : stale) {
        LoadStatistics(schema);
    }
}

/// Drops what is not in `target`; the others stay in their order.
bool Replica::DropOthers(const std::vector<const HypotheticalIndex*>& target,
                         std::vector<const HypotheticalIndex*>* shown) {
    const std::set<const HypotheticalIndex*> wanted(target.begin(), target.end());
    std::vector<const HypotheticalIndex*> left;
    for (const HypotheticalIndex* index : *shown) {
        if (wanted.count(index) != 0) {
            left.push_back(index);
        } else {
            Drop(*index);
        }
    }
    const bool is_less = left.size() < shown->size();
    *shown = std::move(left);
    return is_less;
}

void Replica::Create(const HypotheticalIndex& index, bool is_analysed) {
    copy_.Execute(index.create_sql);
    if (is_analysed && HasStatistics(index.schema) && !index.stat.empty()) {
        AddStatistics(index.schema, index.table, index.name, index.stat);
    }
}

void Replica::Drop(const HypotheticalIndex& index) {
    copy_.Execute("DROP INDEX " + Qualified(index.schema, index.name));
}

}  // namespace upkeep::sqlite
