// SPDX-License-Identifier: PostgreSQL
#include "never_considered.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "ddl.h"
#include "describe.h"
#include "index_kind.h"
#include "options.h"

namespace upkeep::advisor {

namespace {

class NeverConsidered {
  public:
    NeverConsidered(WhatIf& port, const AdviseOptions& options, const Collection& collection,
                    std::vector<Rejection>* rows)
        : port_(port), options_(options), collection_(collection), rows_(rows) {}

    /// Single columns that are compared or sorted and could never become a candidate.
    void AddNeverCandidates() {
        std::set<std::pair<RelationId, int>> seen;
        for (const WorkloadItem& item : collection_.workload().items) {
            for (const RelationUse& use : item.statement.uses) {
                for (const Predicate& predicate : use.predicates) {
                    if (seen.emplace(use.relation, predicate.column).second) {
                        AddNeverCandidate(use.relation, predicate.column);
                    }
                }
                for (const SortKey& key : use.order) {
                    if (seen.emplace(use.relation, key.column).second) {
                        AddNeverCandidate(use.relation, key.column);
                    }
                }
            }
        }
    }

    /// What the host says cannot be built although a reader may expect it.
    void AddRefusals() {
        std::set<std::tuple<RelationId, IndexKind, std::string>> seen;
        for (const WorkloadItem& item : collection_.workload().items) {
            for (const RelationUse& use : item.statement.uses) {
                for (const KindRefusal& refusal : use.refusals) {
                    if (!seen.emplace(use.relation, refusal.kind, refusal.key).second) {
                        continue;
                    }
                    Rejection row;
                    row.interest = Interest::kCannot;
                    row.table = port_.relation(use.relation).display_name;
                    row.columns = {refusal.key};
                    row.kind = std::string(KindName(refusal.kind));
                    row.because = refusal.because;
                    rows_->push_back(std::move(row));
                }
            }
        }
    }

    /// Candidates that the host would not assume, each with its own words.
    void AddDeclined() {
        for (const Declined& declined : collection_.declined()) {
            Rejection row = RejectionOf(port_, declined.spec);
            row.interest = Interest::kCannot;
            row.because = "no such index can be made: " + declined.why;
            rows_->push_back(std::move(row));
        }
    }

    /// Captured statements that the caller may not run are left out of the advice: here they are.
    void AddAllForbidden() {
        if (!options_.skip_unusable) {
            return;
        }
        constexpr const char* kOne = "a captured statement is not considered";
        for (const int64_t fingerprint : port_.Forbidden()) {
            AddForbidden(fingerprint == 0
                             ? "captured statements that you may not see are not considered"
                             : std::string(kOne) + ", fingerprint " + std::to_string(fingerprint) +
                                   ": you have not the rights of the role that ran it");
        }
        std::set<std::string_view> kept;
        for (const WorkloadItem& item : collection_.workload().items) {
            kept.insert(options_.workload[item.number - 1].text);
        }
        for (const WorkloadStatement& given : options_.workload) {
            if (!kept.insert(given.text).second) {
                continue;
            }
            CheckStop(port_);
            const Result<Statement> statement = port_.Analyse(given.text);
            if (statement.ok() || statement.error().code() != Code::kPermissionDenied) {
                continue;
            }
            AddForbidden(given.fingerprints.empty()
                             ? kOne
                             : std::string(kOne) + ", fingerprint " +
                                   std::to_string(given.fingerprints.front()));
        }
    }

  private:
    void AddNeverCandidate(RelationId id, int column) {
        const Relation& relation = port_.relation(id);
        if (column < 0 || static_cast<size_t>(column) >= relation.columns.size()) {
            return;
        }
        IndexSpec spec;
        spec.relation = id;
        IndexKey key;
        key.column = column;
        spec.keys.push_back(std::move(key));
        Rejection row = RejectionOf(port_, spec);
        row.interest = Interest::kCannot;
        if (!relation.no_index_because.empty()) {
            row.because = "no index can be proposed here: " + relation.no_index_because;
        } else if (!relation.columns[static_cast<size_t>(column)].is_orderable) {
            row.because = "the type of this column has no B-tree operator class";
        } else {
            const auto existing = std::find_if(
                relation.indexes.begin(), relation.indexes.end(), [&](const ExistingIndex& index) {
                    return IsProvidedBy(index, spec, port_.dialect().has_nulls_order);
                });
            if (existing == relation.indexes.end()) {
                return;
            }
            row.cost_after = collection_.baseline_cost();
            row.size_bytes = existing->size_bytes;
            row.because = "existing index " + existing->name + " provides it already";
        }
        rows_->push_back(std::move(row));
    }

    void AddForbidden(const std::string& what) {
        Rejection row;
        row.interest = Interest::kCannot;
        row.because = "insufficient_privilege: " + what;
        rows_->push_back(std::move(row));
    }

    WhatIf& port_;
    const AdviseOptions& options_;
    const Collection& collection_;
    std::vector<Rejection>* rows_;
};

}  // namespace

Rejection RejectionOf(const WhatIf& port, const IndexSpec& spec) {
    const Relation& relation = port.relation(spec.relation);
    Rejection row;
    row.table = relation.display_name;
    for (const IndexKey& key : spec.keys) {
        row.columns.push_back(KeyText(port, relation, key));
    }
    row.kind = std::string(KindName(spec.kind));
    return row;
}

void AddNeverConsidered(WhatIf& port, const AdviseOptions& options, const Collection& collection,
                        std::vector<Rejection>* rows) {
    NeverConsidered never(port, options, collection, rows);
    never.AddNeverCandidates();
    never.AddRefusals();
    never.AddDeclined();
    never.AddAllForbidden();
}

}  // namespace upkeep::advisor
