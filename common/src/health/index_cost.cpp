// Indexes that cost more than they give: writes against scans, small tables, few values, bloat.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <utility>

#include "format.h"
#include "index_rules.h"

namespace upkeep::health {

namespace {

// In the host's units of cost. A scan saves at most what reading the whole table would have cost in
// its place; an entry made costs at least the way to the page it is put into. So the verdict errs
// towards keeping the index:
//   saved <= scans x (pages x page + rows x row - entries per scan x entry), paid >= writes x write
struct Units {
    double page;
    double row;
    double entry;  // without the row of the table it leads to
    double write;
};
constexpr Units kPostgresUnits = {.page = 1, .row = 0.01, .entry = 0.015, .write = 1};
// VM steps and 5 a page: a way down of two pages.
constexpr Units kSqliteUnits = {.page = 5, .row = 6, .entry = 2, .write = 12};
constexpr double kMinWrites = 10000;  // fewer are not worth a line
constexpr double kPaidTimes = 2;

// A table of eight pages is read as fast as index and table together.
constexpr int64_t kSmallPages = 8;
constexpr int64_t kSmallMinScans = 100;  // reads that had the choice

constexpr double kFewValues = 20;
constexpr double kFewMinRows = 10000;
// A value with fewer rows than this is worth finding by index, whatever the others are.
constexpr double kRareRatio = 0.05;

constexpr double kBloatTimes = 2;
constexpr double kBloatMinBytes = 1 << 20;

std::optional<double> EntriesPerScan(const IndexDescription& index) {
    if (!index.entries_read || index.scans.value_or(0) <= 0) {
        return std::nullopt;
    }
    return static_cast<double>(*index.entries_read) / static_cast<double>(*index.scans);
}

const TableFacts* FactsOf(const RuleContext& context, const IndexDescription& index) {
    const auto found = context.inventory().table_facts.find(index.table_id);
    return found == context.inventory().table_facts.end() ? nullptr : &found->second;
}

/// Enforces nothing, serves no foreign key, and can be used.
bool IsForReadingOnly(const RuleContext& context, const IndexDescription& index) {
    return index.is_valid && IsDroppable(index) && !index.is_unique &&
           !context.IsNeededByKey(index);
}

}  // namespace

void WithholdIfYoung(const IndexInventory& inventory, IndexFinding* finding) {
    if (inventory.counters_age_s.value_or(0) >= kUnusedMinAgeS) {
        return;
    }
    finding->evidence += "; too early to drop it (counters under " + AgeText(kUnusedMinAgeS) +
                         " old), so no fix is offered";
    finding->fix_sql.clear();
    finding->undo_sql.clear();
}

void AddCostly(const RuleContext& context, const IndexDescription& index,
               std::vector<IndexFinding>* findings) {
    const TableFacts* table = FactsOf(context, index);
    if (table == nullptr || !table->pages || !table->rows || !index.writes || !index.scans ||
        index.access_method != "btree" || !IsForReadingOnly(context, index)) {
        return;
    }
    const bool is_sqlite = context.inventory().host == Hosts::kSqlite;
    const Units& units = is_sqlite ? kSqliteUnits : kPostgresUnits;
    const auto writes = static_cast<double>(*index.writes);
    const double whole = static_cast<double>(*table->pages) * units.page + *table->rows * units.row;
    const double one = std::max(0.0, whole - EntriesPerScan(index).value_or(0) * units.entry);
    const double saved = static_cast<double>(*index.scans) * one;
    const double paid = writes * units.write;
    if (writes < kMinWrites || paid < kPaidTimes * saved) {
        return;
    }
    IndexFinding finding = Finding(index, "costs_more_than_it_saves", "low");
    finding.evidence =
        std::string("candidate: ") +
        (is_sqlite
             ? "at least " + std::to_string(*index.writes) + " entries made or removed, about "
             : "up to " + std::to_string(*index.writes) + " entries written, about ") +
        NumberText(paid, 0) + " units; " + ScansText(context.inventory(), index) +
        ", which save at most " + NumberText(saved, 0) +
        " units, were each a scan of the whole table (" + NumberText(whole, 0) + ") without it";
    WithholdIfYoung(context.inventory(), &finding);
    findings->push_back(std::move(finding));
}

void AddSmallTable(const RuleContext& context, const IndexDescription& index,
                   std::vector<IndexFinding>* findings) {
    const TableFacts* table = FactsOf(context, index);
    if (table == nullptr || table->rows.value_or(0) < 1 ||
        table->pages.value_or(kSmallPages + 1) > kSmallPages ||
        table->full_scans.value_or(0) < kSmallMinScans || index.scans.value_or(1) != 0 ||
        !IsForReadingOnly(context, index)) {
        return;
    }
    IndexFinding finding = Finding(index, "small_table", "info");
    finding.evidence = "candidate: the table has " + std::to_string(*table->pages) +
                       " pages and was read whole " + std::to_string(*table->full_scans) +
                       " times; " + ScansText(context.inventory(), index) +
                       "; useful once the table grows";
    WithholdIfYoung(context.inventory(), &finding);
    findings->push_back(std::move(finding));
}

void AddLowCardinality(const RuleContext& context, const IndexDescription& index,
                       std::vector<IndexFinding>* findings) {
    const TableFacts* table = FactsOf(context, index);
    if (table == nullptr || table->rows.value_or(0) < kFewMinRows || index.keys.size() != 1 ||
        !index.predicate.empty() || index.access_method != "btree" || !index.distinct_values ||
        *index.distinct_values > kFewValues || !IsForReadingOnly(context, index)) {
        return;
    }
    const bool has_rare_value = index.rarest_ratio.value_or(1) < kRareRatio;
    const bool reads_little =
        EntriesPerScan(index).value_or(*table->rows) < kRareRatio * *table->rows;
    if (has_rare_value || reads_little) {
        return;
    }
    IndexFinding finding = Finding(index, "low_cardinality", "info");
    finding.evidence =
        "candidate: " + KeyList(index) + " has " + NumberText(*index.distinct_values, 0) +
        " values in about " + NumberText(*table->rows, 0) + " rows" +
        (index.rarest_ratio ? ", the rarest in " + NumberText(*index.rarest_ratio * 100, 1) + " %"
                            : ", and whether one of them is rare is not known") +
        "; " + ScansText(context.inventory(), index);
    if (!index.rarest_ratio) {
        finding.fix_sql.clear();
        finding.undo_sql.clear();
    } else {
        WithholdIfYoung(context.inventory(), &finding);
    }
    findings->push_back(std::move(finding));
}

bool IsBloated(const IndexDescription& index) {
    const auto bytes = static_cast<double>(index.size_bytes.value_or(0));
    return index.is_valid && index.expected_bytes && !index.rebuild_sql.empty() &&
           bytes >= kBloatTimes * *index.expected_bytes &&
           bytes - *index.expected_bytes >= kBloatMinBytes;
}

void AddBloated(const RuleContext&, const IndexDescription& index,
                std::vector<IndexFinding>* findings) {
    if (!IsBloated(index)) {
        return;
    }
    const auto bytes = static_cast<double>(*index.size_bytes);
    IndexFinding finding = Finding(
        index, "bloated", SeverityBySize(static_cast<int64_t>(bytes - *index.expected_bytes)));
    finding.evidence =
        "has " + BytesText(bytes) + ", freshly built about " + BytesText(*index.expected_bytes) +
        (index.measured_by.empty()
             ? ", an estimate from the statistics, equal keys counted once where the host does so"
             : "; measured: " + index.measured_by);
    finding.fix_sql = index.rebuild_sql;
    finding.undo_sql.clear();  // a rebuild changes nothing that could be taken back
    findings->push_back(std::move(finding));
}

}  // namespace upkeep::health
