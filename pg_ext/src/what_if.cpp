// The port's calls: analyse, declare, price.
// SPDX-License-Identifier: PostgreSQL
#include "what_if.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "act_as.h"
#include "analyse.h"
#include "guard.h"
#include "hypothetical.h"
#include "index_sample.h"
#include "other_sizes.h"
#include "query_walk.h"
#include "upkeep/advisor/index_text.h"
#include "what_if_port.h"

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

Error WithHint(const Error& error) {
    return error.hint().empty() ? Error(error.code(), error.message(),
                                        error.code() == Code::kPermissionDenied
                                            ? "ask for SELECT on it, or leave the statement out"
                                            : "check the text with EXPLAIN")
                                : error;
}

/// More than columns, which the server's own parser is to read.
bool NeedsSql(const IndexSpec& spec) {
    return !spec.predicate.empty() || !advisor::UsingMethod(spec.kind).empty() ||
           std::any_of(spec.keys.begin(), spec.keys.end(), [](const advisor::IndexKey& key) {
               return key.column < 0 || !key.opclass.empty();
           });
}

}  // namespace

char* HostText(std::string_view text) {
    const char* data = text.data();
    const size_t size = text.size();
    return CallHost([=] { return pnstrdup(data, size); });
}

Result<Statement> PgWhatIf::Analyse(std::string_view text) {
    const auto role = roles_.find(std::string(text));
    return AnalyseAs(text, role == roles_.end() ? InvalidOid : role->second);
}

Result<Statement> PgWhatIf::AnalyseAs(std::string_view text, Oid run_as) {
    const char* host_text = HostText(text);
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
        const Result<double> counted =
            InSubtransaction([=] { return CountedShare(index->relid, index->predicate); });
        index->is_share_counted = counted.ok() && counted.value() >= 0;
        const Result<double> share = index->is_share_counted ? counted : InSubtransaction([=] {
            return PredicateShare(index->relid, index->predicate, rows);
        });
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
    const auto check = checks_.find(statement);
    return check == checks_.end() ? PricePlanned(statement, indexes)
                                  : PriceCheck(check->second, statement, indexes);
}

Result<Price> PgWhatIf::PricePlanned(StatementId statement, std::span<const IndexId> indexes) {
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

/// Two pages: a leaf more and the root above it, which is most where the estimate is at fault at
/// all
/// (`make check-random`).
double PgWhatIf::SizeDoubtBytes(IndexId /*index*/) {
    return 2.0 * BLCKSZ;
}

/// To advise_progress; a change of phase also to whoever sets client_min_messages to debug1.
void PgWhatIf::Report(const advisor::Progress& progress) {
    progress_.Tell(progress);
    if (phase_ == progress.phase) {
        return;
    }
    phase_ = progress.phase;
    const char* phase = HostText(advisor::PhaseName(progress.phase));
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

std::unique_ptr<advisor::WhatIf> MakeWhatIf(std::map<std::string, Oid> roles,
                                            std::vector<int64_t> forbidden) {
    return std::make_unique<PgWhatIf>(std::move(roles), std::move(forbidden));
}

}  // namespace upkeep::pg
