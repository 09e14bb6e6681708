// The port object: C++ containers on this side, plain data and the server's calls on the other.
// What it does stands in what_if.cpp, what it says of relations and their use in what_if_facts.cpp.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <chrono>
#include <exception>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "analyse.h"
#include "described_index.h"
#include "foreign_checks.h"
#include "guard.h"
#include "hypothetical.h"
#include "index_inventory.h"
#include "plan_risk.h"
#include "progress.h"
#include "relation_facts.h"
#include "what_if.h"
#include "write_pricer.h"

namespace upkeep::pg {

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

/// `text` as the server wants it: zero-terminated, in the call's memory.
char* HostText(std::string_view text);

class PgWhatIf : public advisor::WhatIf {
  public:
    PgWhatIf(std::map<std::string, Oid> roles, std::vector<int64_t> forbidden)
        : roles_(std::move(roles)), forbidden_(std::move(forbidden)) {}
    std::vector<int64_t> Forbidden() const override { return forbidden_; }
    Result<advisor::Statement> Analyse(std::string_view text) override;
    const advisor::Relation& relation(advisor::RelationId id) const override {
        return relations_[Index(id)];
    }
    std::vector<advisor::Statement> ChecksOf(advisor::StatementId statement) override;
    Result<advisor::IndexId> Declare(const advisor::IndexSpec& spec) override;
    Result<advisor::IndexId> DeclareSql(std::string_view create_index) override;
    Result<advisor::Price> PriceWith(advisor::StatementId statement,
                                     std::span<const advisor::IndexId> indexes) override;
    Result<advisor::Explained> Explain(advisor::StatementId statement,
                                       std::span<const advisor::IndexId> indexes) override;
    double SizeBytes(advisor::IndexId index) override;
    double SizeDoubtBytes(advisor::IndexId index) override;
    std::optional<double> WriteCost(advisor::IndexId index,
                                    advisor::StatementId statement) override;
    bool IsPriceMinimal() const override { return true; }
    advisor::Dialect dialect() const override;
    std::optional<Error> WhyNoKind(advisor::IndexKind kind) const override;
    std::string Quote(std::string_view name) const override;
    bool NameTaken(advisor::RelationId relation, std::string_view index_name) const override;
    std::vector<health::IndexDescription> ExistingIndexes(advisor::RelationId relation) override {
        return ReadIndexesOf(relation_oids_[Index(relation)]);
    }
    std::optional<health::IndexDescription> Describe(
        const advisor::IndexSpec& spec) const override {
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
    /// What a foreign key looks up for each row that a statement takes away.
    struct Check {
        advisor::StatementId set_off_by = -1;
        Oid relid = InvalidOid;  // the referenced table
        bool on_delete = false;
        bool on_update = false;
        std::set<int> key;  // its attributes
    };

    Result<advisor::Statement> AnalyseAs(std::string_view text, Oid run_as);
    Result<advisor::Statement> AnalyseCheck(const char* sql, Oid run_as);
    Result<advisor::Price> PricePlanned(advisor::StatementId statement,
                                        std::span<const advisor::IndexId> indexes);
    Result<advisor::Price> PriceCheck(const Check& check, advisor::StatementId statement,
                                      std::span<const advisor::IndexId> indexes);
    static size_t Index(int32_t id) { return static_cast<size_t>(id); }
    advisor::RelationId RelationOf(Oid relid);
    advisor::RelationUse ToUse(const PlainUse& plain);
    std::vector<HypotheticalIndex*> Chosen(std::span<const advisor::IndexId> indexes) const;
    static Result<PlannedStmt*> Plan(const PlainStatement* statement, int query,
                                     const std::vector<HypotheticalIndex*>& chosen);
    advisor::IndexId IdOf(Oid oid) const;
    void AddConditions(const PlainUse& plain, advisor::RelationUse* use);
    double ShareOfCondition(Oid relid, const PlainOffer& condition);
    std::string SpecSql(const advisor::IndexSpec& spec) const;
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
    std::vector<std::pair<advisor::IndexSpec, advisor::IndexId>> declared_;
    std::vector<int64_t> forbidden_;
    WritePricer writes_;
    PlanRisk risk_;
    std::map<Oid, const PlainArray<PlainForeignCheck>*> known_checks_;  // by referenced table
    std::map<std::pair<std::string, Oid>, Result<advisor::Statement>> analysed_checks_;
    std::map<advisor::StatementId, Check> checks_;
    std::map<std::pair<const PlainStatement*, std::vector<advisor::IndexId>>, advisor::Price>
        check_prices_;
    ProgressRow progress_;
    std::optional<advisor::Phase> phase_;  // told last
};

}  // namespace upkeep::pg
