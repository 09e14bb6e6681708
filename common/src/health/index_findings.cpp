// SPDX-License-Identifier: PostgreSQL
#include "upkeep/health/index_findings.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <tuple>
#include <utility>

#include "format.h"
#include "index_rules.h"

namespace upkeep::health {

namespace {

// An index below this size is not worth a word about being unused.
constexpr int64_t kUnusedMinBytes = 1 << 20;
// A partial index with this share of the entries of a whole one saves nothing by being partial.
constexpr double kPartialRatio = 0.8;
constexpr double kPartialMinEntries = 1000;
// Statistics of smaller tables hardly change a plan.
constexpr int64_t kAnalyzeMinRows = 1000;
// Twice PostgreSQL's own autovacuum_analyze_scale_factor: autovacuum should have come by then.
constexpr double kAnalyzeChangedRatio = 0.2;

/// The index that stays and answers instead: the one with the fewest keys, undroppable ones first.
const IndexDescription* Replacement(const std::vector<const IndexDescription*>& of_table,
                                    const IndexDescription& narrow) {
    const auto is_dropped = [&](const IndexDescription& index) {
        return std::any_of(of_table.begin(), of_table.end(),
                           [&](const IndexDescription* wide) { return Replaces(*wide, index); });
    };
    const IndexDescription* best = nullptr;
    for (const IndexDescription* one : of_table) {
        const IndexDescription& wide = *one;
        if (!Replaces(wide, narrow) || is_dropped(wide)) {
            continue;
        }
        const bool is_better = best == nullptr || wide.keys.size() < best->keys.size() ||
                               (wide.keys.size() == best->keys.size() && IsKept(wide, *best));
        best = is_better ? &wide : best;
    }
    return best;
}

void AddCovered(const RuleContext& context, const IndexDescription& index,
                std::vector<IndexFinding>* findings) {
    const IndexInventory& inventory = context.inventory();
    const IndexDescription* wide = Replacement(context.IndexesOf(index.table_id), index);
    if (wide == nullptr) {
        return;
    }
    const bool is_same = wide->keys.size() == index.keys.size();
    IndexFinding finding = Finding(index, is_same ? "duplicate" : "redundant_prefix",
                                   SeverityBySize(index.size_bytes));
    finding.covered_by = wide->name;
    finding.evidence = KeyList(index) +
                       (is_same ? " are the keys of " : " are the first keys of ") + wide->name +
                       (is_same ? " too" : " " + KeyList(*wide)) +
                       (wide->backs_constraint ? ", which backs a constraint" : "") + "; " +
                       ScansText(inventory, index);
    if (!is_same) {
        finding.evidence += "; if it is much narrower it may still pay on a hot path";
    }
    findings->push_back(std::move(finding));
}

/// A partial index that leaves out next to nothing of what another one holds. A small one beside a
/// large one is what partial indexes are for.
void AddRedundantPartial(const RuleContext& context, const IndexDescription& index,
                         std::vector<IndexFinding>* findings) {
    if (index.predicate.empty() || !IsDroppable(index) || !index.is_valid || !index.entries) {
        return;
    }
    const auto& others = context.IndexesOf(index.table_id);
    for (const IndexDescription* wide : others) {
        if (!wide->predicate.empty() || !wide->entries || *wide->entries < kPartialMinEntries ||
            *index.entries < kPartialRatio * *wide->entries || !CoversColumns(*wide, index) ||
            Replacement(others, *wide) != nullptr) {
            continue;
        }
        IndexFinding finding =
            Finding(index, "redundant_partial", SeverityBySize(index.size_bytes));
        finding.covered_by = wide->name;
        finding.evidence = KeyList(index) + " holds about " + NumberText(*index.entries, 0) +
                           " of the " + NumberText(*wide->entries, 0) + " entries of " +
                           wide->name + " " + KeyList(*wide) + ", which answers the same; " +
                           ScansText(context.inventory(), index);
        findings->push_back(std::move(finding));
        return;
    }
}

void AddInvalid(const RuleContext&, const IndexDescription& index,
                std::vector<IndexFinding>* findings) {
    if (index.is_valid || index.is_being_built || index.is_partition_child) {
        return;
    }
    IndexFinding finding = Finding(index, "invalid", "high");
    finding.evidence =
        "left behind by a CREATE or REINDEX CONCURRENTLY that did not end: no query uses it, "
        "every write maintains it";
    if (!IsDroppable(index)) {  // it stands for a rule: made good, not dropped
        finding.fix_sql = index.rebuild_sql;
        finding.undo_sql.clear();
    }
    findings->push_back(std::move(finding));
}

void AddUnused(const RuleContext& context, const IndexDescription& index,
               std::vector<IndexFinding>* findings) {
    const IndexInventory& inventory = context.inventory();
    if (!index.is_valid || !IsDroppable(index) || index.is_unique || context.IsNeededByKey(index) ||
        index.scans.value_or(1) != 0 || index.size_bytes.value_or(0) < kUnusedMinBytes) {
        return;
    }
    IndexFinding finding = Finding(index, "unused", "info");
    finding.evidence = "candidate: " + ScansText(inventory, index) +
                       "; the index may be younger, standbys count for themselves, and a monthly "
                       "job leaves no trace in less than a month";
    if (!inventory.uses_elsewhere.empty()) {
        finding.evidence += "; " + inventory.uses_elsewhere;
    }
    WithholdIfYoung(inventory, &finding);
    findings->push_back(std::move(finding));
}

void AddStatistics(const TableStatistics& table, std::vector<IndexFinding>* findings) {
    const double changed = static_cast<double>(table.changed_rows.value_or(0));
    const bool is_stale =
        table.has_statistics && changed > kAnalyzeChangedRatio * static_cast<double>(table.rows) +
                                              static_cast<double>(kAnalyzeMinRows);
    if (table.rows < kAnalyzeMinRows || (table.has_statistics && !is_stale)) {
        return;
    }
    IndexFinding finding;
    finding.code = table.has_statistics ? "needs_analyze" : "never_analysed";
    finding.severity = table.has_statistics ? "low" : "medium";
    finding.table_name = table.table_name;
    finding.evidence = "about " + std::to_string(table.rows) + " rows, " +
                       (table.has_statistics ? std::to_string(table.changed_rows.value_or(0)) +
                                                   " added or changed since the last ANALYZE"
                                             : std::string("never analysed")) +
                       ": the planner guesses";
    finding.fix_sql = "ANALYZE " + table.table_sql;
    findings->push_back(std::move(finding));
}

constexpr Rule kRules[] = {AddCovered, AddRedundantPartial, AddInvalid,       AddUnused,
                           AddCostly,  AddSmallTable,       AddLowCardinality};

void SortByCode(std::vector<IndexFinding>* findings) {
    std::sort(findings->begin(), findings->end(), [](const auto& one, const auto& other) {
        return std::tie(one.code, one.table_name, one.index_name) <
               std::tie(other.code, other.table_name, other.index_name);
    });
}

bool IsSameIndex(const IndexFinding& one, const IndexFinding& other) {
    return !one.index_name.empty() && one.index_name == other.index_name &&
           one.table_name == other.table_name;
}

bool SaysUnused(const IndexFinding& finding) {
    return finding.code == "unused" || finding.code == "costs_more_than_it_saves";
}

Value TextOrNull(const std::string& text) {
    return text.empty() ? Value() : Value(text);
}

Value IntegerOrNull(const std::optional<int64_t>& number) {
    return number ? Value(*number) : Value();
}

}  // namespace

std::string SeverityBySize(std::optional<int64_t> bytes) {
    struct Step {
        int64_t bytes;
        const char* severity;
    };
    static constexpr Step kSteps[] = {{int64_t{1} << 30, "high"}, {int64_t{16} << 20, "medium"}};
    for (const Step& step : kSteps) {
        if (bytes.value_or(0) >= step.bytes) {
            return step.severity;
        }
    }
    return "low";
}

std::string ScansText(const IndexInventory& inventory, const IndexDescription& index) {
    if (!index.scans) {
        return "use is not counted";
    }
    const std::string age = inventory.counters_age_s
                                ? "in " + AgeText(*inventory.counters_age_s) + " of counting"
                                : "since the counters began, when is not known";
    return std::to_string(*index.scans) + " scans " + age;
}

IndexFinding Finding(const IndexDescription& index, std::string code, std::string severity) {
    IndexFinding finding;
    finding.code = std::move(code);
    finding.severity = std::move(severity);
    finding.table_name = index.table_name;
    finding.index_name = index.name;
    finding.size_bytes = index.size_bytes;
    finding.fix_sql = index.drop_sql;
    finding.undo_sql = index.create_sql;
    return finding;
}

RuleContext::RuleContext(const IndexInventory& inventory) : inventory_(inventory) {
    for (const IndexDescription& index : inventory.indexes) {
        indexes_[index.table_id].push_back(&index);
    }
    for (const ForeignKeyFacts& key : inventory.foreign_keys) {
        KeepBestFor(key);
    }
}

/// Of the indexes that serve a key the one that stays anyway, or is used most, is kept for it.
void RuleContext::KeepBestFor(const ForeignKeyFacts& key) {
    const std::vector<const IndexDescription*>& of_table = IndexesOf(key.table_id);
    const IndexDescription* best = nullptr;
    for (const IndexDescription* index : of_table) {
        const bool may_stay = Serves(*index, key) && Replacement(of_table, *index) == nullptr;
        if (may_stay && (best == nullptr || IsKept(*index, *best))) {
            best = index;
        }
    }
    if (best != nullptr) {
        needed_.insert(best);
    }
}

const std::vector<const IndexDescription*>& RuleContext::IndexesOf(int64_t table_id) const {
    const auto found = indexes_.find(table_id);
    return found == indexes_.end() ? none_ : found->second;
}

std::vector<IndexFinding> FindIndexFindings(const IndexInventory& inventory) {
    const RuleContext context(inventory);
    std::vector<IndexFinding> findings;
    for (const IndexDescription& index : inventory.indexes) {
        const size_t before = findings.size();
        for (const Rule& rule : kRules) {
            if (findings.size() == before) {  // one finding an index: the first that applies
                rule(context, index, &findings);
            }
        }
        // What is only a candidate for dropping, and stays till somebody decides, may be rebuilt.
        if (findings.size() == before || findings.back().fix_sql.empty()) {
            AddBloated(context, index, &findings);
        }
    }
    for (const TableStatistics& table : inventory.tables) {
        AddStatistics(table, &findings);
    }
    SortByCode(&findings);
    return findings;
}

std::vector<IndexFinding> JoinFindings(std::vector<IndexFinding> known,
                                       const std::vector<IndexFinding>& more) {
    for (const IndexFinding& finding : more) {
        std::erase_if(known, [&](const IndexFinding& one) {
            return IsSameIndex(one, finding) && SaysUnused(one);
        });
        const bool gives_way =
            std::any_of(known.begin(), known.end(), [&](const IndexFinding& one) {
                return IsSameIndex(one, finding) && one.code != "bloated";
            });
        if (!gives_way) {
            known.push_back(finding);
        }
    }
    SortByCode(&known);
    return known;
}

void IndexFindingRows(const IndexInventory& inventory, const std::vector<IndexFinding>& more,
                      RowSink& rows) {
    for (const IndexFinding& finding : JoinFindings(FindIndexFindings(inventory), more)) {
        rows.Add({finding.code, finding.severity, finding.table_name,
                  TextOrNull(finding.index_name), IntegerOrNull(finding.size_bytes),
                  finding.evidence, TextOrNull(finding.fix_sql), TextOrNull(finding.undo_sql),
                  TextOrNull(finding.covered_by)});
    }
}

void UnindexedKeyRows(const IndexInventory& inventory, RowSink& rows) {
    for (const UnindexedKey& found : FindUnindexedKeys(inventory)) {
        const ForeignKeyFacts& key = *found.key;
        rows.Add({key.table_name, key.columns, key.referenced_table, IntegerOrNull(key.child_rows),
                  IntegerOrNull(key.parent_deletes), found.severity, found.create_sql,
                  found.undo_sql});
    }
}

}  // namespace upkeep::health
