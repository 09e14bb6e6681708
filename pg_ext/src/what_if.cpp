// The port object: C++ containers on this side, plain data and the server's calls on the other.
// SPDX-License-Identifier: PostgreSQL
#include "what_if.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <map>
#include <vector>

#include "act_as.h"
#include "analyse.h"
#include "described_index.h"
#include "guard.h"
#include "hypothetical.h"
#include "index_inventory.h"
#include "index_sample.h"
#include "other_sizes.h"
#include "plan_risk.h"
#include "query_walk.h"
#include "relation_facts.h"
#include "upkeep/advisor/index_text.h"
#include "write_pricer.h"

namespace upkeep::pg {

namespace {

using advisor::Explained;
using advisor::IndexId;
using advisor::IndexSpec;
using advisor::Price;
using advisor::RelationId;
using advisor::Statement;
using advisor::StatementId;

/// Our hooks are out of use again whatever way a planner call ends.
struct ForgetAtEnd {
    ~ForgetAtEnd() { ForgetIndexes(); }
};

/// Host calls in a memory context of their own, deleted at the end. An unwinding leaves it to its
/// parent: the ErrorData that is on its way out was copied in here.
class ScratchContext {
  public:
    ScratchContext() {
        context_ = CallHost([] {
            return AllocSetContextCreate(CurrentMemoryContext, "upkeep plan",
                                         ALLOCSET_DEFAULT_SIZES);
        });
        outer_ = MemoryContextSwitchTo(context_);
    }
    ~ScratchContext() {
        MemoryContextSwitchTo(outer_);
        if (std::uncaught_exceptions() == unwinding_) {
            MemoryContextDelete(context_);
        }
    }
    ScratchContext(const ScratchContext&) = delete;
    ScratchContext& operator=(const ScratchContext&) = delete;

  private:
    MemoryContext context_ = nullptr;
    MemoryContext outer_ = nullptr;
    int unwinding_ = std::uncaught_exceptions();
};

class PgWhatIf : public advisor::WhatIf {
  public:
    explicit PgWhatIf(std::map<std::string, Oid> roles) : roles_(std::move(roles)) {}
    Result<Statement> Analyse(std::string_view text) override;
    const advisor::Relation& relation(RelationId id) const override {
        return relations_[Index(id)];
    }
    Result<IndexId> Declare(const IndexSpec& spec) override;
    Result<IndexId> DeclareSql(std::string_view create_index) override;
    Result<Price> PriceWith(StatementId statement, std::span<const IndexId> indexes) override;
    Result<Explained> Explain(StatementId statement, std::span<const IndexId> indexes) override;
    double SizeBytes(IndexId index) override;
    std::optional<double> WriteCost(IndexId index, StatementId statement) override;
    bool IsPriceMinimal() const override { return true; }
    advisor::Dialect dialect() const override;
    std::optional<Error> WhyNoKind(advisor::IndexKind kind) const override;
    std::string Quote(std::string_view name) const override;
    bool NameTaken(RelationId relation, std::string_view index_name) const override;
    std::vector<health::IndexDescription> ExistingIndexes(RelationId relation) override {
        return ReadIndexesOf(relation_oids_[Index(relation)]);
    }
    std::optional<health::IndexDescription> Describe(const IndexSpec& spec) const override {
        return DescribeSpec(*this, spec, *plain_relations_[Index(spec.relation)]);
    }
    int64_t ElapsedMs() const override {
        return std::chrono::duration_cast<std::chrono::milliseconds>(
                   std::chrono::steady_clock::now() - start_)
            .count();
    }
    bool ShouldStop() override {
        CallHostVoid([] { CHECK_FOR_INTERRUPTS(); });
        return false;
    }
    void Report(const advisor::Progress& progress) override;

  private:
    static size_t Index(int32_t id) { return static_cast<size_t>(id); }
    RelationId RelationOf(Oid relid);
    advisor::RelationUse ToUse(const PlainUse& plain);
    std::vector<HypotheticalIndex*> Chosen(std::span<const IndexId> indexes) const;
    static Result<PlannedStmt*> Plan(const PlainStatement* statement, int query,
                                     const std::vector<HypotheticalIndex*>& chosen);
    IndexId IdOf(Oid oid) const;
    void AddConditions(const PlainUse& plain, advisor::RelationUse* use);
    double ShareOfCondition(Oid relid, const PlainOffer& condition);
    std::string SpecSql(const IndexSpec& spec) const;
    Result<HypotheticalIndex*> Parsed(const char* text);
    double RowsOf(Oid relid) { return relations_[Index(RelationOf(relid))].rows; }

    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    std::vector<advisor::Relation> relations_;
    std::vector<Oid> relation_oids_;
    std::vector<const PlainRelation*> plain_relations_;
    std::map<std::pair<Oid, std::string>, double> shares_;  // of predicates
    std::map<std::string, Oid> roles_;                      // text -> the role that ran it
    std::vector<PlainStatement*> statements_;
    std::vector<HypotheticalIndex*> indexes_;
    std::vector<std::pair<IndexSpec, IndexId>> declared_;
    WritePricer writes_;
    PlanRisk risk_;
};

// BRIN asks for large tables that grow in the order of the column.
constexpr double kBrinTableBytes = 32.0 * 1024 * 1024;
constexpr double kBrinCorrelation = 0.9;

/// `text` as the server wants it: zero-terminated, in the call's memory.
char* HostText(std::string_view text) {
    const char* data = text.data();
    const size_t size = text.size();
    return CallHost([=] { return pnstrdup(data, size); });
}

/// ASCII only, as all our words here: the database may not be in UTF-8.
std::string PredicateText(const std::string& column, advisor::Operator op) {
    switch (op) {
        case advisor::Operator::kEqual:
            return column + " = ...";
        case advisor::Operator::kIn:
            return column + " IN (...)";
        case advisor::Operator::kIsNull:
            return column + " IS NULL";
        case advisor::Operator::kJoin:
            return column + " = join column";
        case advisor::Operator::kRange:
            return column + " in a range";
        case advisor::Operator::kPrefix:
            return column + " LIKE '...%'";
    }
    return column;
}

/// A BRIN index where a range is asked of a column whose values follow the order of the rows.
void AddBrin(const PlainRelation& plain, const advisor::Relation& relation,
             advisor::RelationUse* use) {
    if (relation.size_bytes < kBrinTableBytes) {
        return;
    }
    const size_t count = use->predicates.size();
    for (size_t i = 0; i < count; ++i) {
        const advisor::Predicate& predicate = use->predicates[i];
        const PlainColumn& column = plain.columns.items[predicate.column];
        if (predicate.op != advisor::Operator::kRange || !column.has_brin ||
            std::abs(column.correlation) < kBrinCorrelation) {
            continue;
        }
        advisor::KindCondition offered;
        offered.kind = advisor::IndexKind::kBrin;
        offered.column = predicate.column;
        offered.columns = {predicate.column};
        offered.op = predicate.op;
        offered.text = predicate.text + " (rows stand in its order: correlation " +
                       std::to_string(std::abs(column.correlation)).substr(0, 4) + ")";
        use->conditions.push_back(std::move(offered));
    }
}

advisor::ExistingIndex ToExisting(RelationId relation, const PlainIndex& plain) {
    advisor::ExistingIndex index;
    index.name = plain.name;
    index.size_bytes = plain.size_bytes;
    index.is_unique = plain.is_unique;
    index.backs_constraint = plain.backs_constraint;
    index.spec.relation = relation;
    index.spec.predicate = plain.is_partial ? "..." : "";  // only whether there is one is asked
    for (int i = 0; i < plain.column_count; ++i) {
        if (i >= plain.key_count) {
            index.spec.include.push_back(plain.attnos[i] - 1);
        } else {
            index.spec.keys.push_back({plain.attnos[i] - 1, plain.attnos[i] == 0 ? "..." : "",
                                       plain.descending[i], plain.nulls_first[i]});
        }
    }
    return index;
}

RelationId PgWhatIf::RelationOf(Oid relid) {
    const auto known = std::find(relation_oids_.begin(), relation_oids_.end(), relid);
    if (known != relation_oids_.end()) {
        return static_cast<RelationId>(known - relation_oids_.begin());
    }
    const PlainRelation* plain = CallHost([=] { return ReadRelation(relid); });
    const auto id = static_cast<RelationId>(relations_.size());
    advisor::Relation relation;
    relation.name = plain->name;
    relation.display_name = plain->display_name;
    relation.schema_quoted = plain->schema_quoted;
    relation.rows = plain->rows;
    relation.size_bytes = plain->size_bytes;
    relation.is_partitioned = plain->is_partitioned;
    relation.is_temporary = plain->is_temporary;
    relation.no_index_because = plain->no_index_because;
    for (int i = 0; i < plain->columns.count; ++i) {
        const PlainColumn& column = plain->columns.items[i];
        relation.columns.push_back(
            {column.name, column.distinct, column.null_ratio, column.width, column.is_orderable});
    }
    for (int i = 0; i < plain->partitions.count; ++i) {
        const PlainPartition& one = plain->partitions.items[i];
        relation.partitions.push_back({one.name, one.display_name, one.schema_quoted, one.parent,
                                       one.is_partitioned, one.is_foreign});
    }
    for (int i = 0; i < plain->indexes.count; ++i) {
        relation.indexes.push_back(ToExisting(id, plain->indexes.items[i]));
    }
    relations_.push_back(std::move(relation));
    plain_relations_.push_back(plain);
    relation_oids_.push_back(relid);
    return id;
}

advisor::RelationUse PgWhatIf::ToUse(const PlainUse& plain) {
    advisor::RelationUse use;
    use.relation = RelationOf(plain.relid);
    const advisor::Relation& relation = relations_[Index(use.relation)];
    for (int i = 0; i < plain.predicates.count; ++i) {
        const PlainPredicate& predicate = plain.predicates.items[i];
        const int column = predicate.attno - 1;
        use.predicates.push_back(
            {column, predicate.op, -1,
             PredicateText(relation.columns[Index(column)].name, predicate.op)});
    }
    for (int i = 0; i < plain.order.count; ++i) {
        const PlainSortKey& key = plain.order.items[i];
        use.order.push_back({key.attno - 1, key.descending, key.nulls_first});
    }
    for (int i = 0; i < plain.group.count; ++i) {
        use.group.push_back(plain.group.items[i] - 1);
    }
    for (int attno = bms_next_member(plain.needed, -1); attno > 0;
         attno = bms_next_member(plain.needed, attno)) {
        use.needed.push_back(attno - 1);
    }
    use.has_limit = plain.has_limit;
    AddConditions(plain, &use);
    AddBrin(*plain_relations_[Index(use.relation)], relation, &use);
    return use;
}

double PgWhatIf::ShareOfCondition(Oid relid, const PlainOffer& condition) {
    const std::pair<Oid, std::string> key = {relid, condition.sql};
    if (const auto known = shares_.find(key); known != shares_.end()) {
        return known->second;
    }
    const ScratchContext scratch;
    List* predicate = condition.predicate;
    const double rows = RowsOf(relid);
    const Result<double> share =
        InSubtransaction([=] { return PredicateShare(relid, predicate, rows); });
    return shares_[key] = share.ok() ? share.value() : -1;
}

void PgWhatIf::AddConditions(const PlainUse& plain, advisor::RelationUse* use) {
    for (int i = 0; i < plain.conditions.count; ++i) {
        const PlainOffer& condition = plain.conditions.items[i];
        if (condition.refused != nullptr) {
            use->refusals.push_back({condition.kind, condition.text, condition.refused});
            continue;
        }
        advisor::KindCondition offered;
        offered.kind = condition.kind;
        offered.op = condition.op;
        offered.sql = condition.sql;
        offered.column = condition.attno - 1;
        offered.opclass = condition.opclass;
        offered.text = condition.text;
        for (int attno = bms_next_member(condition.columns, -1); attno > 0;
             attno = bms_next_member(condition.columns, attno)) {
            offered.columns.push_back(attno - 1);
        }
        if (condition.kind == advisor::IndexKind::kPartial) {
            const std::vector<advisor::ColumnFacts>& columns =
                relations_[Index(use->relation)].columns;
            const bool are_states =
                condition.op == advisor::Operator::kIsNull ||
                std::all_of(offered.columns.begin(), offered.columns.end(), [&](int column) {
                    return columns[Index(column)].distinct_count <= advisor::kMostStatesOfColumn;
                });
            if (!are_states) {
                continue;
            }
            offered.selectivity = ShareOfCondition(plain.relid, condition);
        }
        use->conditions.push_back(std::move(offered));
    }
}

Error WithHint(const Error& error) {
    return error.hint().empty() ? Error(error.code(), error.message(),
                                        error.code() == Code::kPermissionDenied
                                            ? "ask for SELECT on it, or leave the statement out"
                                            : "check the text with EXPLAIN")
                                : error;
}

Result<Statement> PgWhatIf::Analyse(std::string_view text) {
    const char* host_text = HostText(text);
    const auto role = roles_.find(std::string(text));
    const Oid run_as = role == roles_.end() ? InvalidOid : role->second;
    const Result<PlainStatement*> analysed = [&] {
        const ActAs acting(run_as);
        return InSubtransaction([=] { return AnalyseStatement(host_text); }, Keep::kNothing);
    }();
    if (!analysed.ok()) {
        return WithHint(analysed.error());
    }
    PlainStatement* plain = analysed.value();
    plain->run_as = run_as;
    const Result<bool> locked = InSubtransaction([=] { return LockRelations(plain); });
    if (!locked.ok()) {
        return locked.error();
    }
    Statement statement;
    statement.id = static_cast<StatementId>(statements_.size());
    statement.fingerprint = plain->fingerprint;
    statement.is_generic = plain->has_parameters;
    switch (plain->command) {
        case CMD_SELECT:
            statement.kind = advisor::StatementKind::kSelect;
            break;
        case CMD_INSERT:
            statement.kind = advisor::StatementKind::kInsert;
            break;
        case CMD_UPDATE:
            statement.kind = advisor::StatementKind::kUpdate;
            break;
        case CMD_DELETE:
            statement.kind = advisor::StatementKind::kDelete;
            break;
        default:
            statement.kind = advisor::StatementKind::kOther;
            break;
    }
    for (int i = 0; i < plain->uses.count; ++i) {
        statement.uses.push_back(ToUse(plain->uses.items[i]));
    }
    for (int i = 0; i < plain->written.count; ++i) {
        statement.written.push_back(RelationOf(plain->written.items[i]));
    }
    statements_.push_back(plain);
    return statement;
}

/// More than columns, which the server's own parser is to read.
bool NeedsSql(const IndexSpec& spec) {
    return !spec.predicate.empty() || !advisor::UsingMethod(spec.kind).empty() ||
           std::any_of(spec.keys.begin(), spec.keys.end(), [](const advisor::IndexKey& key) {
               return key.column < 0 || !key.opclass.empty();
           });
}

std::string PgWhatIf::SpecSql(const IndexSpec& spec) const {
    return "CREATE INDEX ON " + relations_[Index(spec.relation)].display_name +
           advisor::IndexTail(*this, spec);
}

/// An index from its text, with what the statistics and a sample say about it. What the sample's
/// reading fails with is no error: the estimate does without.
Result<HypotheticalIndex*> PgWhatIf::Parsed(const char* text) {
    const auto number = static_cast<int>(indexes_.size());
    Result<HypotheticalIndex*> parsed = InSubtransaction([=] { return ParseIndex(text, number); });
    if (!parsed.ok()) {
        return parsed;
    }
    HypotheticalIndex* index = parsed.value();
    if (index->predicate != NIL) {
        const ScratchContext scratch;
        const double rows = RowsOf(index->relid);
        const Result<double> share =
            InSubtransaction([=] { return PredicateShare(index->relid, index->predicate, rows); });
        index->share = share.ok() ? std::max(share.value(), 1e-9) : 1;
    }
    if (NeedsSample(*index)) {
        static_cast<void>(InSubtransaction([=] { return SampleIndex(index); }));
    }
    return index;
}

Result<IndexId> PgWhatIf::Declare(const IndexSpec& spec) {
    for (const auto& [known, id] : declared_) {
        if (known == spec) {
            return id;
        }
    }
    if (NeedsSql(spec)) {
        const Result<HypotheticalIndex*> parsed = Parsed(HostText(SpecSql(spec)));
        if (!parsed.ok()) {  // what cannot be built is no candidate
            return Error(Code::kUnsupported, parsed.error().message(), parsed.error().hint());
        }
        indexes_.push_back(parsed.value());
        declared_.emplace_back(spec, static_cast<IndexId>(indexes_.size() - 1));
        return declared_.back().second;
    }
    std::vector<KeyRequest> keys;
    for (const advisor::IndexKey& key : spec.keys) {
        keys.push_back({static_cast<AttrNumber>(key.column + 1), key.descending, key.nulls_first});
    }
    std::vector<AttrNumber> included;
    for (const int column : spec.include) {
        included.push_back(static_cast<AttrNumber>(column + 1));
    }
    const Oid relid = relation_oids_[Index(spec.relation)];
    const auto id = static_cast<IndexId>(indexes_.size());
    const KeyRequest* key_data = keys.data();
    const auto key_count = static_cast<int>(keys.size());
    const AttrNumber* included_data = included.data();
    const auto included_count = static_cast<int>(included.size());
    indexes_.push_back(CallHost(
        [=] { return MakeIndex(relid, key_data, key_count, included_data, included_count, id); }));
    declared_.emplace_back(spec, id);
    return id;
}

Result<IndexId> PgWhatIf::DeclareSql(std::string_view create_index) {
    const char* text = HostText(create_index);
    const auto id = static_cast<IndexId>(indexes_.size());
    const Result<HypotheticalIndex*> parsed = Parsed(text);
    if (!parsed.ok()) {
        return parsed.error().hint().empty()
                   ? Error(parsed.error().code(), parsed.error().message(),
                           "write CREATE INDEX ON table (column, ...)")
                   : parsed.error();
    }
    indexes_.push_back(parsed.value());
    return id;
}

std::vector<HypotheticalIndex*> PgWhatIf::Chosen(std::span<const IndexId> indexes) const {
    std::vector<HypotheticalIndex*> chosen;
    for (const IndexId id : indexes) {
        if (!indexes_[Index(id)]->is_there) {
            chosen.push_back(indexes_[Index(id)]);
        }
    }
    return chosen;
}

IndexId PgWhatIf::IdOf(Oid oid) const {
    for (size_t i = 0; i < indexes_.size(); ++i) {
        if (indexes_[i]->oid == oid) {
            return static_cast<IndexId>(i);
        }
    }
    return -1;
}

/// The plan of one query of a statement. What fails without an assumed index is the caller's own
/// text (a constant divided by zero): an error as a value, so that the statement can be named.
Result<PlannedStmt*> PgWhatIf::Plan(const PlainStatement* statement, int query,
                                    const std::vector<HypotheticalIndex*>& chosen) {
    HypotheticalIndex* const* data = chosen.data();
    const auto count = static_cast<int>(chosen.size());
    const ActAs acting(statement->run_as);
    const auto plan = [=] {
        return PlanWith(static_cast<Query*>(list_nth(statement->queries, query)), statement->text,
                        data, count);
    };
    if (count > 0) {
        return CallHost(plan);
    }
    const Result<PlannedStmt*> planned = InSubtransaction(plan);
    return planned.ok() ? planned : WithHint(planned.error());
}

Result<Price> PgWhatIf::PriceWith(StatementId statement, std::span<const IndexId> indexes) {
    const std::vector<HypotheticalIndex*> chosen = Chosen(indexes);
    const PlainStatement* plain = statements_[Index(statement)];
    Price price;
    const ScratchContext scratch;
    const ForgetAtEnd forget;
    std::vector<PlannedStmt*> plans;
    for (int i = 0; i < list_length(plain->queries); ++i) {
        const Result<PlannedStmt*> planned = Plan(plain, i, chosen);
        if (!planned.ok()) {
            return planned.error();
        }
        PlannedStmt* plan = planned.value();
        plans.push_back(plan);
        if (plan->planTree != nullptr) {
            price.cost += plan->planTree->total_cost;
            const ActAs acting(plain->run_as);
            price.risk += risk_.Of(plan, chosen.data(), static_cast<int>(chosen.size()));
        }
        const List* used = CallHost([=] { return IndexesOfPlan(plan); });
        for (int k = 0; k < list_length(used); ++k) {
            const IndexId id = IdOf(used->elements[k].oid_value);
            if (id >= 0) {
                price.used.push_back(id);
            }
        }
    }
    std::sort(price.used.begin(), price.used.end());
    price.used.erase(std::unique(price.used.begin(), price.used.end()), price.used.end());
    if (plain->written.count > 0 && !writes_.Knows(statement)) {
        writes_.Note(statement, plans);
    }
    return price;
}

std::optional<double> PgWhatIf::WriteCost(IndexId index, StatementId statement) {
    if (!writes_.Knows(statement)) {
        const Result<Price> planned = PriceWith(statement, {});
        if (!planned.ok() || !writes_.Knows(statement)) {
            return planned.ok() ? std::optional<double>(0) : std::nullopt;
        }
    }
    if (const std::optional<double> known = writes_.KnownCost(index, statement)) {
        return known;
    }
    const HypotheticalIndex* hypothetical = indexes_[Index(index)];
    const double rows = relations_[Index(RelationOf(hypothetical->relid))].rows;
    const ScratchContext scratch;
    return writes_.Cost(index, hypothetical, rows, statement);
}

Result<Explained> PgWhatIf::Explain(StatementId statement, std::span<const IndexId> indexes) {
    const std::vector<HypotheticalIndex*> chosen = Chosen(indexes);
    HypotheticalIndex* const* data = chosen.data();
    const auto count = static_cast<int>(chosen.size());
    const PlainStatement* plain = statements_[Index(statement)];
    Explained explained;
    const ScratchContext scratch;
    const ForgetAtEnd forget;
    const int query_count = list_length(plain->queries);
    for (int i = 0; i < query_count; ++i) {
        const Result<PlannedStmt*> planned = Plan(plain, i, chosen);
        if (!planned.ok()) {
            return planned.error();
        }
        PlannedStmt* plan = planned.value();
        explained.cost += plan->planTree != nullptr ? plan->planTree->total_cost : 0;
        const List* used = CallHost([=] { return IndexesOfPlan(plan); });
        for (int k = 0; k < list_length(used); ++k) {
            const Oid oid = used->elements[k].oid_value;
            const IndexId id = IdOf(oid);
            const char* name =
                id >= 0 ? indexes_[Index(id)]->name : CallHost([=] { return get_rel_name(oid); });
            explained.used_names.emplace_back(name != nullptr ? name : "?");
        }
        const char* json = CallHost([=] { return ExplainPlan(plan, plain->text, data, count); });
        explained.plan_json += (explained.plan_json.empty() ? "" : ",") + std::string(json);
    }
    // EXPLAIN's own form is an array of one object per query; one query is what one expects.
    if (query_count == 1) {
        const size_t open = explained.plan_json.find('{');
        const size_t close = explained.plan_json.rfind('}');
        explained.plan_json = explained.plan_json.substr(open, close + 1 - open);
    } else {
        explained.plan_json = "[" + explained.plan_json + "]";
    }
    return explained;
}

double PgWhatIf::SizeBytes(IndexId index) {
    const HypotheticalIndex* hypothetical = indexes_[Index(index)];
    const ScratchContext scratch;
    return CallHost([=] { return TotalBytes(*hypothetical); });
}

/// Told to whoever sets client_min_messages to debug1.
void PgWhatIf::Report(const advisor::Progress& progress) {
    const char* phase = HostText(progress.phase);
    const auto statements = static_cast<long long>(progress.statements_total);
    const auto calls = static_cast<long long>(progress.planner_calls);
    const auto hits = static_cast<long long>(progress.cache_hits);
    const auto elapsed = static_cast<long long>(ElapsedMs());
    CallHostVoid([=] {
        ereport(DEBUG1, errmsg_internal("upkeep: %s: %lld statements, %lld planner calls, "
                                        "%lld cache hits, %lld ms",
                                        phase, statements, calls, hits, elapsed));
    });
}

std::optional<Error> PgWhatIf::WhyNoKind(advisor::IndexKind kind) const {
    if (kind != advisor::IndexKind::kTrigram ||
        CallHost([] { return OidIsValid(GinClassByName(kTrigramClass)); })) {
        return std::nullopt;
    }
    return Error(Code::kUnsupported, "the extension pg_trgm is not installed in this database",
                 "CREATE EXTENSION pg_trgm, or leave trigram out");
}

advisor::Dialect PgWhatIf::dialect() const {
    advisor::Dialect dialect;
    dialect.create_index = "CREATE INDEX CONCURRENTLY IF NOT EXISTS";
    dialect.drop_index = "DROP INDEX CONCURRENTLY IF EXISTS";
    dialect.plain_create_index = "CREATE INDEX IF NOT EXISTS";
    dialect.plain_drop_index = "DROP INDEX IF EXISTS";
    dialect.has_include = true;
    dialect.has_nulls_order = true;
    dialect.has_checked_text = true;
    dialect.max_name_bytes = NAMEDATALEN - 1;
    return dialect;
}

std::string PgWhatIf::Quote(std::string_view name) const {
    const char* text = HostText(name);
    return CallHost([=] { return quote_identifier(text); });
}

bool PgWhatIf::NameTaken(RelationId relation, std::string_view index_name) const {
    const Oid relid = relation_oids_[Index(relation)];
    const char* name = HostText(index_name);
    return CallHost([=] { return OidIsValid(get_relname_relid(name, get_rel_namespace(relid))); });
}

}  // namespace

std::unique_ptr<advisor::WhatIf> MakeWhatIf(std::map<std::string, Oid> roles) {
    return std::make_unique<PgWhatIf>(std::move(roles));
}

}  // namespace upkeep::pg
