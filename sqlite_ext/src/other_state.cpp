// SPDX-License-Identifier: PostgreSQL
#include "other_state.h"

#include <algorithm>

namespace upkeep::sqlite {

namespace {

// Source: design §4: more than 5 % slower is harm.
constexpr double kHarmRatio = 1.05;
// Steps: what nobody can feel is no harm, whatever its share.
constexpr double kUnfeltCost = 20;
// Replicas in either state at most, and tables and indexes in all of them.
constexpr size_t kMostReplicas = 64, kReplicaObjects = 3000;

/// The name under which ANALYZE keeps an index: the key of a WITHOUT ROWID table has the table's.
std::string StatisticsName(const CatalogTable& table, const std::string& index,
                           const IndexShape& shape, const RelationState& relation) {
    const bool is_key =
        table.is_without_rowid && index.rfind("sqlite_autoindex_", 0) == 0 &&
        std::all_of(shape.keys.begin(), shape.keys.end(), [&](const KeyExpression& key) {
            return key.column >= 0 && relation.columns[static_cast<size_t>(key.column)].is_primary;
        });
    return is_key ? table.name : index;
}

}  // namespace

OtherState::OtherState(sqlite3* caller, const Catalog& catalog, bool is_analysed)
    : catalog_(catalog),
      is_estimated_(!is_analysed),
      replica_(caller, catalog,
               is_analysed ? Replica::Statistics::kAsTheyAre : Replica::Statistics::kEmpty) {}

void OtherState::Meet(const std::vector<advisor::RelationId>& ids, Relations* relations) {
    if (!is_estimated_) {
        return;
    }
    std::set<std::string> changed;
    for (const advisor::RelationId id : ids) {
        RelationState& relation = relations->at(id);
        const CatalogTable* table = catalog_.Find(relation.schema, relation.table);
        if (!met_.insert(id).second || relation.statistics == nullptr || table == nullptr ||
            relation.statistics->rows() <= 0) {
            continue;
        }
        const double rows = relation.statistics->rows();
        bool is_counted = false;  // by an index over all rows
        for (const auto& [name, shape] : relation.shapes) {
            const std::string stat = relation.statistics->Stat1(shape, rows);
            if (!stat.empty()) {
                replica_.AddStatistics(relation.schema, relation.table,
                                       StatisticsName(*table, name, shape, relation), stat);
                is_counted = is_counted || shape.predicate.empty();
            }
        }
        if (!is_counted) {
            replica_.AddStatistics(relation.schema, relation.table, "",
                                   std::to_string(static_cast<int64_t>(rows)));
        }
        changed.insert(relation.schema);
    }
    for (const std::string& schema : changed) {
        replica_.LoadStatistics(schema);
    }
}

PlannerPool::PlannerPool(sqlite3* caller, const Catalog& catalog, bool is_analysed)
    : caller_(caller),
      catalog_(catalog),
      is_analysed_(is_analysed),
      planners_(std::clamp<size_t>(
          kReplicaObjects / (1 + catalog.tables().size() + catalog.indexes().size()), 1,
          kMostReplicas)) {}

Planners& PlannerPool::Of(size_t statement) {
    Planners& planners = planners_[statement % planners_.size()];
    if (planners.now == nullptr) {
        planners.now = std::make_unique<Replica>(caller_, catalog_);
        planners.other = std::make_unique<OtherState>(caller_, catalog_, is_analysed_);
    }
    return planners;
}

bool MaySkip(const PricedStatement& statement, const HypotheticalIndex& index,
             const IndexShape& shape) {
    const std::string table = Lower(index.table);
    return std::any_of(
        statement.mentions.begin(), statement.mentions.end(), [&](const PricedMention& mention) {
            bool is_gap = false;
            for (const KeyExpression& key : shape.keys) {
                const bool is_compared =
                    mention.table == table &&
                    std::any_of(mention.terms.begin(), mention.terms.end(),
                                [&](const PricedTerm& term) {
                                    return key.column >= 0 && term.term.column == key.column;
                                });
                if (is_compared && is_gap) {
                    return true;
                }
                is_gap = is_gap || !is_compared;
            }
            return false;
        });
}

double HarmOf(double cost, double before) {
    return std::max(0.0, cost - kHarmRatio * before - kUnfeltCost);
}

}  // namespace upkeep::sqlite
