// SPDX-License-Identifier: PostgreSQL
#include "verify.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "analysis.h"
#include "catalog.h"
#include "plan.h"
#include "private_copy.h"
#include "replica.h"
#include "run_guard.h"
#include "stmt.h"
#include "what_if.h"

namespace upkeep::sqlite {

namespace {

using advisor::Compared;
using advisor::Examined;

constexpr int kPagesAtOnce = 200;  // of the copy, between two looks

/// An index's row in sqlite_schema: with it the planner knows the index, without it does not.
struct SchemaRow {
    std::string schema;
    std::string name;
    std::string table;
    int64_t root_page = 0;
    std::string sql;
};

struct Examinee {
    std::string text;
    bool is_run = true;
};

class Backup {
  public:
    Backup(sqlite3* to, const std::string& schema, sqlite3* from, const char* name) : to_(to) {
        backup_ = sqlite3_backup_init(to, schema.c_str(), from, name);
        if (backup_ == nullptr) {
            throw HostError(to, sqlite3_errcode(to));
        }
    }
    Backup(const Backup&) = delete;
    Backup& operator=(const Backup&) = delete;
    ~Backup() { sqlite3_backup_finish(backup_); }

    /// True: there is more.
    bool Step() {
        const int code = sqlite3_backup_step(backup_, kPagesAtOnce);
        if (code == SQLITE_BUSY || code == SQLITE_LOCKED) {
            throw Error(Code::kBusy, "the database is being written and cannot be copied",
                        "end the transaction first, or try again when the other one has ended");
        }
        if (code != SQLITE_OK && code != SQLITE_DONE) {
            sqlite3_backup_finish(std::exchange(backup_, nullptr));  // the text is there only then
            throw HostError(to_, code);
        }
        return code == SQLITE_OK;
    }

  private:
    sqlite3* to_;
    sqlite3_backup* backup_ = nullptr;
};

class SqliteVerifier : public advisor::Verifier {
  public:
    explicit SqliteVerifier(sqlite3* db)
        : db_(db), port_(MakeWhatIf(db)), catalog_(db), replica_(db, catalog_), watch_{*port_, 0} {}

    Result<void> Check(const TextArray& create_sql, int64_t max_table_bytes) override;
    Result<Examined> Examine(const advisor::WorkloadStatement& statement) override;
    Result<void> Build() override;
    Result<Compared> Compare(size_t number) override;
    Result<double> Run(size_t number, bool with_indexes) override;
    void TakeBack() override { copy_.reset(); }
    void SetLimit(int64_t milliseconds) override {
        watch_.ends_at_ms = NowMs() + static_cast<double>(milliseconds);
    }
    bool IsOver() const override { return NowMs() >= watch_.ends_at_ms; }
    void Tell(const std::string&) override {}
    advisor::Dialect dialect() const override { return port_->dialect(); }
    std::string_view price() const override {
        return "the whole database is copied to a temporary file, and while it is read, writers "
               "wait unless it is in WAL mode: add confirm = 1";
    }

  private:
    Result<Examined> ExamineText(const std::string& text);
    void RefuseLarge();
    void LookAround();
    void OpenCopy();
    void Copy(const std::string& schema);
    void Create(const NewIndex& index);
    void Show(bool is_shown);
    std::string Details(const std::string& text);
    Stmt PrepareGuarded(const std::string& text, Permit* permit);
    double Execute(const std::string& text);
    template <typename Call>
    auto Tried(Call call) -> Result<decltype(call())>;

    sqlite3* db_;
    std::unique_ptr<advisor::WhatIf> port_;
    Catalog catalog_;
    Replica replica_;
    Watch watch_;
    int64_t max_bytes_ = 0;
    std::vector<NewIndex> indexes_;
    std::vector<Examinee> examinees_;
    std::set<std::string> schemas_;  // to be copied
    std::optional<PrivateConnection> copy_;
    std::vector<SchemaRow> made_;
    std::vector<std::string> index_names_;
    bool are_shown_ = true;
    bool may_connect_ = false;
    std::map<std::string, bool> functions_;
};

/// What is thrown as a value; an interrupt by the limit is told by IsOver().
template <typename Call>
auto SqliteVerifier::Tried(Call call) -> Result<decltype(call())> {
    try {
        return call();
    } catch (const Error& error) {
        return error;
    }
}

void SqliteVerifier::LookAround() {
    if (Look(&watch_) != 0) {
        throw Error(Code::kInterrupted, "interrupted", "nothing was changed");
    }
}

Result<void> SqliteVerifier::Check(const TextArray& create_sql, int64_t max_table_bytes) {
    if (sqlite3_api->progress_handler == nullptr) {  // left out of some builds
        return Error(Code::kUnsupported,
                     "this SQLite has no progress handler, so a run could not be stopped",
                     "use what_if, which runs nothing");
    }
    max_bytes_ = max_table_bytes;
    for (size_t i = 0; i < create_sql.size(); ++i) {
        const Result<NewIndex> index = PrepareIndex(replica_, db_, create_sql[i]);
        if (!index.ok()) {
            return Error(index.error().code(),
                         (create_sql.size() > 1 ? "index " + std::to_string(i + 1) + ": " : "") +
                             index.error().message(),
                         index.error().hint().empty() ? "write CREATE INDEX name ON table (column, "
                                                        "...)"
                                                      : index.error().hint());
        }
        if (index.value().schema == "temp") {
            return Error(Code::kUnsupported, "temporary tables are not copied",
                         "verify indexes of tables in main and attached databases");
        }
        for (const NewIndex& other : indexes_) {
            if (Lower(other.name) == Lower(index.value().name) &&
                Lower(other.schema) == Lower(index.value().schema)) {
                return Error(Code::kInvalidArgument,
                             "index " + index.value().name + " is given twice",
                             "give each index a name of its own");
            }
        }
        indexes_.push_back(index.value());
        schemas_.insert(index.value().schema);
    }
    return {};
}

Result<Examined> SqliteVerifier::ExamineText(const std::string& text) {
    const Result<Touched> touched = PrepareStatement(replica_, db_, text);
    if (!touched.ok()) {
        return touched.error();
    }
    Examined examined;
    for (const auto& [schema, table] : touched.value().tables) {
        if (schema != "temp") {
            schemas_.insert(schema);
        }
        for (const NewIndex& index : indexes_) {
            examined.reads_indexed_table = examined.reads_indexed_table ||
                                           KeyOf(schema, table) == KeyOf(index.schema, index.table);
        }
    }
    if (touched.value().has_parameters) {
        examined.not_run_because = "it has parameters without values";
    } else if (touched.value().kind != advisor::StatementKind::kSelect) {
        examined.not_run_because = "a statement that writes is planned, never run";
    }
    examinees_.push_back({touched.value().text, examined.not_run_because.empty()});
    return examined;
}

Result<Examined> SqliteVerifier::Examine(const advisor::WorkloadStatement& statement) {
    if (!statement.sample.empty()) {
        Result<Examined> sampled = ExamineText(statement.sample);
        if (sampled.ok() || sampled.error().code() == Code::kInterrupted) {
            return sampled;
        }
    }
    return ExamineText(statement.text);
}

void SqliteVerifier::RefuseLarge() {
    int64_t bytes = 0;
    for (const std::string& schema : schemas_) {
        Stmt pages(db_, "PRAGMA " + Quoted(schema) + ".page_count");
        Stmt size(db_, "PRAGMA " + Quoted(schema) + ".page_size");
        bytes += pages.Step() && size.Step() ? pages.Integer(0) * size.Integer(0) : 0;
    }
    if (bytes > max_bytes_) {
        throw Error(Code::kInvalidArgument,
                    "the database has " + std::to_string(bytes) + " bytes, max_table_bytes is " +
                        std::to_string(max_bytes_),
                    "all of it is copied to a temporary file: raise max_table_bytes if there is "
                    "room for it");
    }
}

void SqliteVerifier::OpenCopy() {
    copy_.emplace("", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    sqlite3_limit(copy_->get(), SQLITE_LIMIT_ATTACHED,
                  sqlite3_limit(db_, SQLITE_LIMIT_ATTACHED, -1));
    for (const std::string& schema : catalog_.schemas()) {
        if (schema != "main" && schema != "temp") {
            copy_->Execute("ATTACH '' AS " + Quoted(schema));
        }
    }
    for (const std::string& schema : schemas_) {
        Copy(schema);
    }
    sqlite3_db_config(copy_->get(), SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
    CopySettings(db_, *copy_);
    for (const std::string& schema : schemas_) {
        const std::string on = "PRAGMA " + Quoted(schema) + ".";
        Stmt size(db_, on + "cache_size");
        if (size.Step()) {
            copy_->Execute(on + "cache_size=" + std::to_string(size.Integer(0)));
        }
        copy_->Execute(on + "journal_mode=OFF");
    }
}

/// From a connection of our own, which sees what is committed and waits for nobody's transaction
/// but a writer's; what is in memory only the caller's connection can read.
void SqliteVerifier::Copy(const std::string& schema) {
    const char* path = sqlite3_db_filename(db_, schema.c_str());
    if (path == nullptr || access(path, R_OK) != 0) {  // in memory, also of a name
        Backup backup(copy_->get(), schema, db_, schema.c_str());
        while (backup.Step()) {
            LookAround();
        }
        return;
    }
    PrivateConnection file = OpenFile(path);
    // One snapshot for the whole copy, whoever writes meanwhile.
    file.Execute("BEGIN");
    file.Execute("SELECT count(*) FROM sqlite_schema");
    Backup backup(copy_->get(), schema, file.get(), "main");
    while (backup.Step()) {
        LookAround();
    }
}

void SqliteVerifier::Create(const NewIndex& index) {
    copy_->Execute(index.text);
    if (replica_.HasStatistics(index.schema) &&
        replica_.AnalysedRows(index.schema, index.table).has_value()) {
        copy_->Execute("ANALYZE " + Qualified(index.schema, index.name));
    }
    Stmt row(copy_->get(), "SELECT name, tbl_name, rootpage, sql FROM " + Quoted(index.schema) +
                               ".sqlite_schema WHERE type = 'index' AND lower(name) = lower(?)");
    row.Bind(1, index.name);
    if (!row.Step()) {
        throw Error(Code::kInternal, "index " + index.name + " was not made");
    }
    made_.push_back({index.schema, std::string(row.Text(0)), std::string(row.Text(1)),
                     row.Integer(2), std::string(row.Text(3))});
}

Result<void> SqliteVerifier::Build() {
    const Result<bool> built = Tried([this] {
        RefuseLarge();
        OpenCopy();
        functions_ = ReadFunctions(copy_->get());
        // A virtual table declares itself when it is first met, which looks like writing.
        may_connect_ = HasOwnModulesOnly(copy_->get());
        sqlite3_progress_handler(copy_->get(), kStepsBetweenLooks, Look, &watch_);
        for (const NewIndex& index : indexes_) {
            Create(index);
        }
        for (const std::string& schema : schemas_) {
            Stmt names(copy_->get(), "SELECT name FROM " + Quoted(schema) +
                                         ".sqlite_schema WHERE type = 'index'");
            while (names.Step()) {
                index_names_.emplace_back(names.Text(0));
            }
        }
        return true;
    });
    if (built.ok()) {
        return {};
    }
    return built.error().hint().empty()
               ? Error(built.error().code(), built.error().message(),
                       "nothing was changed: all of this is done on a copy in a temporary file")
               : built.error();
}

/// The rows of sqlite_schema in or out. Nothing writes while they are out.
void SqliteVerifier::Show(bool is_shown) {
    if (is_shown == are_shown_) {
        return;
    }
    sqlite3_set_authorizer(copy_->get(), nullptr, nullptr);
    copy_->Execute("PRAGMA writable_schema=1");
    for (const SchemaRow& row : made_) {
        const std::string table = Quoted(row.schema) + ".sqlite_schema";
        if (is_shown) {
            Stmt insert(copy_->get(), "INSERT INTO " + table + " VALUES ('index', ?, ?, ?, ?)");
            insert.Bind(1, row.name).Bind(2, row.table).Bind(3, row.root_page).Bind(4, row.sql);
            insert.Run();
        } else {
            Stmt remove(copy_->get(),
                        "DELETE FROM " + table + " WHERE type = 'index' AND name = ?");
            remove.Bind(1, row.name).Run();
        }
    }
    copy_->Execute("PRAGMA writable_schema=RESET");  // the schema is read anew
    are_shown_ = is_shown;
}

void AddDetails(const std::vector<PlanNode>& plan, int depth, std::string* text) {
    for (const PlanNode& node : plan) {
        *text += std::string(static_cast<size_t>(depth), ' ') + node.detail + "\n";
        AddDetails(node.children, depth + 1, text);
    }
}

std::string SqliteVerifier::Details(const std::string& text) {
    sqlite3_set_authorizer(copy_->get(), nullptr, nullptr);
    std::string details;
    AddDetails(ReadPlan(copy_->get(), text, index_names_).OrThrow(), 0, &details);
    return details;
}

/// Prepared as it will be run. Throws why it is not.
Stmt SqliteVerifier::PrepareGuarded(const std::string& text, Permit* permit) {
    permit->functions = functions_;
    permit->is_connecting = may_connect_;
    sqlite3_set_authorizer(copy_->get(), Authorize, permit);
    Result<Stmt> prepared = Stmt::Prepare(copy_->get(), text);
    permit->is_connecting = false;
    if (prepared.ok() && may_connect_) {
        prepared = Stmt::Prepare(copy_->get(), text);
    }
    if (!prepared.ok()) {
        throw Refusal(prepared.error(), *permit);
    }
    if (sqlite3_stmt_readonly(prepared.value().get()) == 0) {
        throw Error(Code::kInvalidArgument, "a statement that writes is planned, never run");
    }
    return std::move(prepared).value();
}

/// An authorizer is taken away before what it points to.
struct Unguard {
    sqlite3* db;
    ~Unguard() { sqlite3_set_authorizer(db, nullptr, nullptr); }
};

double SqliteVerifier::Execute(const std::string& text) {
    Permit permit;
    const Unguard unguard{copy_->get()};
    Stmt statement = PrepareGuarded(text, &permit);
    const double start = NowMs();
    statement.Run();
    return NowMs() - start;
}

Result<Compared> SqliteVerifier::Compare(size_t number) {
    const Examinee& examinee = examinees_[number];
    return Tried([&] {
        LookAround();
        Compared compared;
        Show(true);
        if (examinee.is_run) {
            Permit permit;
            const Unguard unguard{copy_->get()};
            try {
                PrepareGuarded(examinee.text, &permit);
            } catch (const Error& error) {
                if (error.code() == Code::kInterrupted) {
                    throw;
                }
                compared.not_testable_because = error.message();
                return compared;
            }
        }
        const std::string with = Details(examinee.text);
        Show(false);
        compared.is_plan_changed = with != Details(examinee.text);
        return compared;
    });
}

Result<double> SqliteVerifier::Run(size_t number, bool with_indexes) {
    return Tried([&] {
        Show(with_indexes);
        return Execute(examinees_[number].text);
    });
}

}  // namespace

std::unique_ptr<advisor::Verifier> MakeVerifier(sqlite3* db) {
    return std::make_unique<SqliteVerifier>(db);
}

}  // namespace upkeep::sqlite
