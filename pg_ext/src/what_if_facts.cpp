// What the port says of relations and of their use in a statement.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <cmath>

#include "index_sample.h"
#include "other_sizes.h"
#include "what_if_port.h"

namespace upkeep::pg {

namespace {

using advisor::RelationId;

// BRIN asks for large tables that grow in the order of the column.
constexpr double kBrinTableBytes = 32.0 * 1024 * 1024;
constexpr double kBrinCorrelation = 0.9;

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

}  // namespace

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
    for (int attno = bms_next_member(plain.parsed_json, -1); attno > 0;
         attno = bms_next_member(plain.parsed_json, attno)) {
        use.parsed_json.push_back(attno - 1);
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
    const Result<double> counted = InSubtransaction([=] { return CountedShare(relid, predicate); });
    if (counted.ok() && counted.value() >= 0) {
        return shares_[key] = counted.value();
    }
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

}  // namespace upkeep::pg
