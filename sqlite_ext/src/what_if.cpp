// SPDX-License-Identifier: PostgreSQL
#include "what_if.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "analysis.h"
#include "index_inventory.h"
#include "kinds.h"
#include "other_state.h"
#include "relations.h"
#include "sql_text.h"
#include "upkeep/base/text.h"
#include "upkeep/capture/normalize.h"

namespace upkeep::sqlite {

namespace {

using advisor::Explained;
using advisor::IndexId;
using advisor::IndexSpec;
using advisor::Price;
using advisor::RelationId;
using advisor::Statement;
using advisor::StatementId;

struct StatementState {
    std::string text;
    std::set<TableKey> tables;  // all that it touches
    std::vector<RelationId> relations;
    PricedStatement priced;
    std::map<RelationId, TableWrite> writes;
    std::optional<double> written_rows;  // by one execution; asked once
    // Without new indexes, as the database is and in its other state; asked once.
    std::optional<double> cost_before, other_cost_before;
};

struct IndexState {
    HypotheticalIndex index;
    HypotheticalIndex wary;  // … with statistics that a skip-scan looks best with
    RelationId relation = -1;
    IndexShape shape;
    std::optional<IndexWrites> writes;                 // asked once
    std::map<std::set<std::string>, bool> is_changed;  // by what an UPDATE sets
};

class SqliteWhatIf : public advisor::WhatIf {
  public:
    explicit SqliteWhatIf(sqlite3* db)
        : db_(db),
          catalog_(db),
          replica_(db, catalog_),
          relations_(db, catalog_, replica_),
          planners_(db, catalog_, replica_.HasAnyStatistics()),
          probe_(db, "SELECT 1") {}

    Result<Statement> Analyse(std::string_view text) override;
    const advisor::Relation& relation(RelationId id) const override {
        return relations_.at(id).facts;
    }
    Result<IndexId> Declare(const IndexSpec& spec) override;
    Result<IndexId> DeclareSql(std::string_view create_index) override;
    Result<Price> PriceWith(StatementId statement, std::span<const IndexId> indexes) override;
    Result<Explained> Explain(StatementId statement, std::span<const IndexId> indexes) override;
    double SizeBytes(IndexId index) override;
    std::optional<double> WriteCost(IndexId index, StatementId statement) override;
    advisor::Dialect dialect() const override;
    std::optional<Error> WhyNoKind(advisor::IndexKind kind) const override;
    std::string Quote(std::string_view name) const override { return QuotedIfNeeded(name); }
    bool NameTaken(RelationId relation, std::string_view index_name) const override;
    std::vector<health::IndexDescription> ExistingIndexes(RelationId relation) override;
    std::optional<health::IndexDescription> Describe(const IndexSpec& spec) const override {
        return DescribeSpec(spec, relations_.at(spec.relation));
    }
    bool DependsOnOrder() const override { return true; }
    bool IsPlanCheap() const override { return true; }
    int64_t ElapsedMs() const override;
    bool ShouldStop() override;

  private:
    struct Planned {
        double cost = 0;
        std::vector<PlanNode> plan;
        std::vector<std::string> used;
    };

    Recorder& recorder();
    Result<Planned> Plan(StatementId statement, std::span<const IndexId> indexes,
                         OtherState* other = nullptr, bool is_wary = true);
    Result<double> CostBefore(StatementId statement, OtherState* other);
    IndexId AddIndex(HypotheticalIndex index, RelationId relation, IndexShape shape);
    void AddMentions(const std::vector<Mention>& mentions, Statement* statement,
                     StatementState* state);
    std::vector<RelationId> Written(const Touched& touched, StatementState* state);
    std::optional<double> WrittenRows(StatementId statement);

    sqlite3* db_;
    Catalog catalog_;
    Replica replica_;
    std::unique_ptr<Recorder> recorder_;
    Relations relations_;
    PlannerPool planners_;
    Stmt probe_;
    std::deque<StatementState> statements_;
    std::deque<IndexState> indexes_;          // stable addresses: the replica keeps some
    std::map<std::string, IndexId> by_text_;  // a spec's or caller's text -> id
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

Recorder& SqliteWhatIf::recorder() {
    if (recorder_ == nullptr) {
        recorder_ = std::make_unique<Recorder>(db_, catalog_);
    }
    return *recorder_;
}

Result<Statement> SqliteWhatIf::Analyse(std::string_view text) {
    Result<Touched> touched = PrepareStatement(replica_, db_, text);
    if (!touched.ok()) {
        return touched.error();
    }
    StatementState state;
    state.text = touched.value().text;
    state.priced.text = ScanText(state.text);
    state.priced.is_write = touched.value().kind != advisor::StatementKind::kSelect;
    for (const auto& [schema, table] : touched.value().tables) {
        state.tables.insert(KeyOf(schema, table));
    }
    Statement statement;
    statement.id = static_cast<StatementId>(statements_.size());
    statement.kind = touched.value().kind;
    statement.is_generic = touched.value().has_parameters;
    statement.fingerprint =
        capture::Fingerprint(capture::Normalize(state.text, capture::SqlDialect::kSqlite));
    statement.written = Written(touched.value(), &state);
    for (const RelationId id : statement.written) {
        const auto write = state.writes.find(id);
        state.priced.indexes_on_written +=
            write == state.writes.end() ? static_cast<double>(relations_.at(id).shapes.size())
                                        : IndexesWritten(relations_.at(id), write->second);
    }
    // What virtual tables cannot serve (MATCH) is planned but proposes nothing.
    const Result<std::vector<Mention>> mentions = recorder().Record(RecordableText(state.text));
    if (mentions.ok()) {
        AddMentions(mentions.value(), &statement, &state);
    }
    for (const auto& [schema, table] : touched.value().tables) {
        const RelationId id = relations_.Meet(schema, table);
        state.relations.push_back(id);
        const bool is_used = std::any_of(statement.uses.begin(), statement.uses.end(),
                                         [&](const auto& use) { return use.relation == id; });
        if (!is_used) {
            statement.uses.emplace_back().relation = id;  // so that the core knows of it
        }
    }
    statements_.push_back(std::move(state));
    return statement;
}

void SqliteWhatIf::AddMentions(const std::vector<Mention>& mentions, Statement* statement,
                               StatementState* state) {
    for (const Mention& mention : mentions) {
        const RelationId id = relations_.Meet(mention.schema, mention.table);
        RelationState& relation = relations_.at(id);
        if (relation.statistics == nullptr) {
            statement->uses.emplace_back().relation = id;
            continue;
        }
        PricedMention priced =
            PriceMention(mention, relation.columns, relation.statistics.get(), state->priced.text);
        statement->uses.push_back(
            MakeUse(mention, priced, relation, id, state->priced.text.has_limit));
        AddKinds(db_, state->text, priced, relation, state->priced.text, &statement->uses.back());
        for (const advisor::Predicate& predicate : statement->uses.back().predicates) {
            relations_.NeedDistinct(id, predicate.column);
        }
        for (const advisor::SortKey& key : statement->uses.back().order) {
            relations_.NeedDistinct(id, key.column);
        }
        for (const int column : statement->uses.back().group) {
            relations_.NeedDistinct(id, column);
        }
        state->priced.mentions.push_back(std::move(priced));
    }
}

std::vector<RelationId> SqliteWhatIf::Written(const Touched& touched, StatementState* state) {
    std::vector<RelationId> written;
    for (const auto& [schema, table] : touched.written) {
        const CatalogTable* found = catalog_.Find(schema, table);
        if (found != nullptr && found->kind != TableKind::kView) {
            written.push_back(relations_.Meet(schema, table));
            const auto how = touched.writes.find({schema, table});
            if (how != touched.writes.end()) {
                TableWrite& write = state->writes[written.back()] = how->second;
                write.replaces = state->priced.text.replaces;
                write.clears = write.deletes && !write.inserts && write.changed.empty() &&
                               !state->priced.text.has_condition;
            }
        }
    }
    std::sort(written.begin(), written.end());
    return written;
}

IndexId SqliteWhatIf::AddIndex(HypotheticalIndex index, RelationId relation, IndexShape shape) {
    RelationState& state = relations_.at(relation);
    HypotheticalIndex wary = index;
    if (state.statistics != nullptr) {
        const double rows =
            replica_.AnalysedRows(state.schema, state.table).value_or(state.statistics->rows());
        index.stat = state.statistics->Stat1(shape, rows);
        wary = index;
        wary.stat = state.statistics->BestStat1(shape, rows);
    }
    indexes_.push_back(
        {std::move(index), std::move(wary), relation, std::move(shape), std::nullopt, {}});
    return static_cast<IndexId>(indexes_.size() - 1);
}

std::optional<Error> SqliteWhatIf::WhyNoKind(advisor::IndexKind kind) const {
    switch (kind) {
        case advisor::IndexKind::kGin:
        case advisor::IndexKind::kBrin:
        case advisor::IndexKind::kTrigram:
            return Error(Code::kUnsupported,
                         "SQLite has B-tree indexes only: no gin, brin or trigram",
                         "leave gin, brin and trigram out");
        default:
            return std::nullopt;
    }
}

Result<IndexId> SqliteWhatIf::Declare(const IndexSpec& spec) {
    if (!relations_.Has(spec.relation)) {
        return Error(Code::kInternal, "index on an unknown relation");
    }
    if (const std::optional<Error> reason = WhyNoKind(spec.kind)) {
        return *reason;
    }
    const RelationState& relation = relations_.at(spec.relation);
    if (!relation.facts.no_index_because.empty()) {
        return Error(Code::kUnsupported, "no index on " + relation.facts.display_name + ": " +
                                             relation.facts.no_index_because);
    }
    const std::string tail = SpecSql(spec, relation);
    const std::string key = relation.schema + tail;
    const auto known = by_text_.find(key);
    if (known != by_text_.end()) {
        return known->second;
    }
    HypotheticalIndex index;
    index.schema = relation.schema;
    index.table = relation.table;
    index.name = "upkeep_what_if_" + std::to_string(indexes_.size());
    index.create_sql = "CREATE INDEX " + Qualified(index.schema, index.name) + tail;
    const Result<Stmt> tried = Stmt::Prepare(replica_.db(), index.create_sql);
    if (!tried.ok()) {
        return Error(Code::kUnsupported, tried.error().message());
    }
    const IndexId id = AddIndex(std::move(index), spec.relation, ShapeOfSpec(spec, relation));
    by_text_.emplace(key, id);
    return id;
}

Result<IndexId> SqliteWhatIf::DeclareSql(std::string_view create_index) {
    const auto known = by_text_.find(std::string(create_index));
    if (known != by_text_.end()) {
        return known->second;
    }
    Result<NewIndex> checked = PrepareIndex(replica_, db_, create_index);
    if (!checked.ok()) {
        return checked.error();
    }
    HypotheticalIndex index{checked.value().schema, checked.value().table, checked.value().name,
                            checked.value().text, ""};
    for (const IndexState& other : indexes_) {
        if (Lower(other.index.name) == Lower(index.name) && other.index.schema == index.schema) {
            return Error(Code::kInvalidArgument, "index " + index.name + " is given twice",
                         "give each index a name of its own");
        }
    }
    const RelationId relation = relations_.Meet(index.schema, index.table);
    const RelationState& state = relations_.at(relation);
    Stmt(replica_.db(), index.create_sql).Run();
    std::optional<CatalogIndex> made;
    for (CatalogIndex& one : ReadIndexes(replica_.db(), index.schema, index.table)) {
        if (Lower(one.name) == Lower(index.name)) {
            made = std::move(one);
        }
    }
    Stmt(replica_.db(), "DROP INDEX " + Qualified(index.schema, index.name)).Run();
    if (!made) {
        return Error(Code::kInternal, "index " + index.name + " was not made");
    }
    const IndexId id = AddIndex(std::move(index), relation, ShapeOf(*made, state.columns));
    by_text_.emplace(std::string(create_index), id);
    return id;
}

Result<SqliteWhatIf::Planned> SqliteWhatIf::Plan(StatementId statement,
                                                 std::span<const IndexId> indexes,
                                                 OtherState* other, bool is_wary) {
    const StatementState& state = statements_.at(static_cast<size_t>(statement));
    std::set<TableKey> tables = state.tables;
    IndexShapes shapes;
    for (const RelationId id : state.relations) {
        shapes.insert(relations_.at(id).shapes.begin(), relations_.at(id).shapes.end());
    }
    std::vector<const HypotheticalIndex*> wanted;
    for (const IndexId id : indexes) {
        const IndexState& index = indexes_.at(static_cast<size_t>(id));
        wanted.push_back(is_wary && MaySkip(state.priced, index.index, index.shape) ? &index.wary
                                                                                    : &index.index);
        tables.insert(KeyOf(index.index.schema, index.index.table));
        shapes.emplace(index.index.name, index.shape);
    }
    Replica& replica =
        other == nullptr ? *planners_.Of(static_cast<size_t>(statement)).now : other->replica();
    if (other != nullptr) {
        other->Meet(state.relations, &relations_);
    }
    replica.Show(tables, wanted, other == nullptr || other->knows_new());
    std::vector<std::string> names;
    for (const auto& [name, shape] : shapes) {
        names.push_back(name);
    }
    Result<std::vector<PlanNode>> plan = ReadPlan(replica.db(), state.text, names);
    if (!plan.ok()) {
        return plan.error();
    }
    Planned planned;
    planned.plan = std::move(plan).value();
    planned.used = UsedIndexes(planned.plan);
    planned.cost = PricePlan(&planned.plan, state.priced, shapes);
    return planned;
}

Result<double> SqliteWhatIf::CostBefore(StatementId statement, OtherState* other) {
    StatementState& state = statements_.at(static_cast<size_t>(statement));
    std::optional<double>& cost = other == nullptr ? state.cost_before : state.other_cost_before;
    if (!cost) {
        const Result<Planned> planned = Plan(statement, {}, other);
        if (!planned.ok()) {
            return planned.error();
        }
        cost = planned.value().cost;
    }
    return *cost;
}

/// Choices are told of the mean of both states, and of harm in either; of the one between CREATE
/// INDEX and the next ANALYZE only where that does not make up for it.
Result<Price> SqliteWhatIf::PriceWith(StatementId statement, std::span<const IndexId> indexes) {
    Price price;
    std::array<double, 2> costs{};
    std::set<std::string> used;
    for (OtherState* state : {static_cast<OtherState*>(nullptr),
                              planners_.Of(static_cast<size_t>(statement)).other.get()}) {
        const Result<Planned> planned = Plan(statement, indexes, state);
        const Result<double> before = CostBefore(statement, state);
        if (!planned.ok() || !before.ok()) {
            return planned.ok() ? before.error() : planned.error();
        }
        costs[state == nullptr ? 0 : 1] = planned.value().cost;
        used.insert(planned.value().used.begin(), planned.value().used.end());
        const double cost = state != nullptr && !state->knows_new() ? (costs[0] + costs[1]) / 2
                                                                    : planned.value().cost;
        price.harm = std::max(price.harm, HarmOf(cost, before.value()));
    }
    price.cost = costs[0];
    price.elsewhere = (costs[1] - costs[0]) / 2;
    for (const IndexId id : indexes) {
        if (used.count(indexes_.at(static_cast<size_t>(id)).index.name) > 0) {
            price.used.push_back(id);
        }
    }
    std::sort(price.used.begin(), price.used.end());
    price.used.erase(std::unique(price.used.begin(), price.used.end()), price.used.end());
    return price;
}

Result<Explained> SqliteWhatIf::Explain(StatementId statement, std::span<const IndexId> indexes) {
    Result<Planned> planned = Plan(statement, indexes, nullptr, /*is_wary=*/false);
    if (!planned.ok()) {
        return planned.error();
    }
    return Explained{planned.value().cost, PlanJson(planned.value().plan), planned.value().used};
}

double SqliteWhatIf::SizeBytes(IndexId index) {
    const IndexState& state = indexes_.at(static_cast<size_t>(index));
    const RelationState& relation = relations_.at(state.relation);
    return relation.statistics == nullptr ? 0 : relation.statistics->IndexSize(state.shape).bytes;
}

std::optional<double> SqliteWhatIf::WrittenRows(StatementId statement) {
    StatementState& state = statements_.at(static_cast<size_t>(statement));
    if (!state.written_rows) {
        Result<Planned> planned = Plan(statement, {});
        if (!planned.ok()) {
            return std::nullopt;
        }
        IndexShapes shapes;
        for (const RelationId id : state.relations) {
            shapes.insert(relations_.at(id).shapes.begin(), relations_.at(id).shapes.end());
        }
        state.written_rows = PlanRows(&planned.value().plan, state.priced, shapes);
    }
    return state.written_rows;
}

std::optional<double> SqliteWhatIf::WriteCost(IndexId index, StatementId statement) {
    IndexState& state = indexes_.at(static_cast<size_t>(index));
    RelationState& relation = relations_.at(state.relation);
    const auto& writes = statements_.at(static_cast<size_t>(statement)).writes;
    const auto write = writes.find(state.relation);
    if (write == writes.end() || relation.statistics == nullptr) {
        return 0;
    }
    const std::optional<double> rows = WrittenRows(statement);
    if (!rows) {
        return std::nullopt;
    }
    if (!state.writes) {
        state.writes = WritesOf(state.shape, relation.statistics.get());
    }
    bool is_read = false;
    if (!write->second.changed.empty()) {
        const auto [known, is_new] = state.is_changed.try_emplace(write->second.changed);
        if (is_new) {
            known->second = ReadsChanged(state.shape, relation, write->second);
        }
        is_read = known->second;
    }
    return IndexWriteCost(*state.writes, write->second, is_read, *rows);
}

advisor::Dialect SqliteWhatIf::dialect() const {
    advisor::Dialect dialect;
    dialect.create_index = dialect.plain_create_index = "CREATE INDEX IF NOT EXISTS";
    dialect.drop_index = dialect.plain_drop_index = "DROP INDEX IF EXISTS";
    dialect.schema_before_index = true;
    return dialect;
}

bool SqliteWhatIf::NameTaken(RelationId relation, std::string_view index_name) const {
    return catalog_.HasObject(relations_.at(relation).schema, index_name);
}

std::vector<health::IndexDescription> SqliteWhatIf::ExistingIndexes(RelationId relation) {
    const RelationState& state = relations_.at(relation);
    const CatalogTable* table = catalog_.Find(state.schema, state.table);
    if (table == nullptr || !IsUserTable(*table)) {
        return {};
    }
    std::set<std::string> named;
    for (const StatementState& statement : statements_) {
        for (std::string& name : IndexedBy(statement.text)) {
            named.insert(std::move(name));
        }
    }
    std::vector<health::IndexDescription> indexes = DescribeIndexes(db_, *table);
    std::erase_if(indexes, [&](const health::IndexDescription& index) {
        return named.count(Lower(index.name)) > 0;
    });
    return indexes;
}

int64_t SqliteWhatIf::ElapsedMs() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 start_)
        .count();
}

bool SqliteWhatIf::ShouldStop() {
#if SQLITE_VERSION_NUMBER >= 3041000
    if (sqlite3_libversion_number() >= 3041000) {
        return sqlite3_is_interrupted(db_) != 0;
    }
#endif
    // Any statement begins with this check; while the caller's own runs, the flag stays set.
    const int code = sqlite3_step(probe_.get());
    probe_.Reset();
    return code == SQLITE_INTERRUPT;
}

}  // namespace

std::unique_ptr<advisor::WhatIf> MakeWhatIf(sqlite3* db) {
    return std::make_unique<SqliteWhatIf>(db);
}

}  // namespace upkeep::sqlite
