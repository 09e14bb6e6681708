// The port's calls about what foreign keys look up by themselves: foreign_checks.h.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>

#include "foreign_checks.h"
#include "what_if_port.h"

namespace upkeep::pg {

namespace {

using advisor::IndexId;
using advisor::Price;
using advisor::Statement;
using advisor::StatementId;

// A table that more foreign keys refer to: those of the first triggers.
constexpr size_t kMostChecks = 50;

std::set<int> MembersOf(const Bitmapset* set) {
    std::set<int> members;
    for (int member = bms_next_member(set, -1); member >= 0;
         member = bms_next_member(set, member)) {
        members.insert(member);
    }
    return members;
}

}  // namespace

/// What the caller may not read is left out: he would be told of a table that is not his.
std::vector<Statement> PgWhatIf::ChecksOf(StatementId statement) {
    std::vector<Statement> checks;
    const PlainStatement* plain = statements_[Index(statement)];
    if (plain->command == CMD_INSERT || plain->written.count == 0) {
        return checks;
    }
    for (int i = 0; i < plain->written.count; ++i) {
        const Oid relid = plain->written.items[i];
        if (known_checks_.count(relid) == 0) {
            known_checks_[relid] = CallHost([=] { return ForeignChecksOf(relid); });
        }
        const PlainArray<PlainForeignCheck>& known = *known_checks_[relid];
        for (int k = 0; k < known.count && checks.size() < kMostChecks; ++k) {
            const PlainForeignCheck& check = known.items[k];
            const bool is_set_off = plain->command == CMD_DELETE   ? check.on_delete
                                    : plain->command == CMD_UPDATE ? check.on_update
                                                                   : true;
            if (!is_set_off) {
                continue;
            }
            Result<Statement> analysed = AnalyseCheck(check.sql, plain->run_as);
            if (!analysed.ok()) {
                if (analysed.error().code() == Code::kInterrupted) {
                    throw Error(analysed.error());
                }
                continue;
            }
            checks_[analysed.value().id] = {statement, relid, check.on_delete, check.on_update,
                                            MembersOf(check.key)};
            checks.push_back(std::move(analysed).value());
        }
    }
    return checks;
}

/// Analysed once for each role; every statement that sets it off gets a number of its own.
Result<Statement> PgWhatIf::AnalyseCheck(const char* sql, Oid run_as) {
    const std::pair<std::string, Oid> key = {sql, run_as};
    auto known = analysed_checks_.find(key);
    if (known == analysed_checks_.end()) {
        Result<Statement> statement = AnalyseAs(sql, run_as);
        if (statement.ok()) {
            statement.value().is_generic = false;  // each row's key, and those differ
            for (advisor::RelationUse& use : statement.value().uses) {
                for (advisor::Predicate& predicate : use.predicates) {
                    predicate.text += " (look-up of a foreign key)";
                }
            }
        }
        known = analysed_checks_.emplace(key, std::move(statement)).first;
    }
    Result<Statement> mine = known->second;
    if (mine.ok()) {
        PlainStatement* plain = statements_[Index(mine.value().id)];
        mine.value().id = static_cast<StatementId>(statements_.size());
        statements_.push_back(plain);
    }
    return mine;
}

Result<Price> PgWhatIf::PriceCheck(const Check& check, StatementId statement,
                                   std::span<const IndexId> indexes) {
    if (!writes_.Knows(check.set_off_by)) {
        const Result<Price> planned = PriceWith(check.set_off_by, {});
        if (!planned.ok()) {
            return planned;
        }
    }
    const double rows = writes_.KeysGone(check.set_off_by, check.relid, check.on_delete,
                                         check.on_update ? &check.key : nullptr);
    if (rows <= 0) {
        return Price{};
    }
    const std::pair<const PlainStatement*, std::vector<IndexId>> key = {
        statements_[Index(statement)], std::vector<IndexId>(indexes.begin(), indexes.end())};
    auto known = check_prices_.find(key);
    if (known == check_prices_.end()) {
        const Result<Price> planned = PricePlanned(statement, indexes);
        if (!planned.ok()) {
            return planned;
        }
        known = check_prices_.emplace(key, planned.value()).first;
    }
    return Price{0, known->second.used, rows * known->second.cost};
}

}  // namespace upkeep::pg
