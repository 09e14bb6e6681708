// The advisor's one port: what would a statement cost if these indexes existed?
//
//   Analyse(text) -> Statement (which columns are compared, joined, sorted, needed, per relation)
//        |                                   core: candidates -> IndexSpec
//   Declare(spec) -> IndexId                 a hypothetical index, private to this port object
//   Price(statement, {ids}) -> cost, ids the plan uses      by the host's own planner
//
// Implementations: PostgreSQL (standard_planner under get_relation_info_hook), SQLite (a private
// in-memory replica), and a fake in tests/. One object serves one call; nothing it does outlives
// it, and nothing of it is visible to other sessions. Not thread-safe. Errors that the host
// foresees are Results; an unforeseen host error may pass through the core as an unwinding
// (PostgreSQL: HostError, for instance a query cancel), so callers keep no bare state.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "upkeep/base/result.h"
#include "upkeep/health/index_facts.h"

namespace upkeep::advisor {

using RelationId = int32_t;   // dense: the port numbers relations as it meets them, from 0
using StatementId = int32_t;  // dense, in order of Analyse
using IndexId = int32_t;      // dense, in order of Declare

enum class IndexKind : uint8_t { kBtree, kCovering, kPartial, kExpression, kGin, kBrin, kTrigram };

/// One key of an index: a column of the relation, or (column < 0) an expression in the host's SQL.
struct IndexKey {
    int column = -1;         // position in Relation::columns
    std::string expression;  // only where column < 0
    bool descending = false;
    bool nulls_first = false;  // PostgreSQL's default: false ascending, true descending
    std::string opclass = {};  // operator class in DDL; empty: the default one
    friend bool operator==(const IndexKey&, const IndexKey&) = default;
};

struct IndexSpec {
    RelationId relation = -1;
    IndexKind kind = IndexKind::kBtree;
    std::vector<IndexKey> keys;
    std::vector<int> include;  // further columns carried for index-only access; hosts without
                               // INCLUDE (SQLite) append them as keys
    std::string predicate;     // partial index: its WHERE in the host's SQL; empty: whole table
    std::vector<int> predicate_columns = {};  // columns that the predicate names, ascending
    friend bool operator==(const IndexSpec&, const IndexSpec&) = default;
};

struct ColumnFacts {
    std::string name;           // as in the catalog, unquoted
    double distinct_count = 0;  // estimated distinct values; 0: unknown
    double null_ratio = 0;
    double width_bytes = 0;    // average stored width; 0: unknown
    bool is_orderable = true;  // has a default B-tree operator class
};

struct ExistingIndex {
    std::string name;
    IndexSpec spec;
    double size_bytes = 0;
    bool is_unique = false;
    bool backs_constraint = false;
};

/// A partition of a partitioned table, at whatever depth; parents come before their children.
struct Partition {
    std::string name = {};           // unquoted
    std::string display_name = {};   // as Relation's
    std::string schema_quoted = {};  // as Relation's
    int parent = -1;                 // position in Relation::partitions; -1: the table itself
    bool is_partitioned = false;
    bool is_foreign = false;  // cannot have an index
};

struct Relation {
    std::string name;           // unquoted
    std::string display_name;   // quoted, qualified where the caller's search path needs it
    std::string schema_quoted;  // quoted schema when display_name is qualified, else empty
    double rows = 0;
    double size_bytes = 0;
    std::vector<ColumnFacts> columns;
    std::vector<ExistingIndex> indexes;
    bool is_partitioned = false;
    bool is_temporary = false;
    std::string no_index_because;  // why no index can be proposed here (foreign table, catalog,
                                   // virtual table, …); empty: it can
    std::vector<Partition> partitions = {};
};

enum class Operator : uint8_t {
    kEqual,   // column = constant or parameter
    kIn,      // column IN (list), = ANY(array)
    kIsNull,  // column IS NULL
    kJoin,    // column = column of another relation
    kRange,   // <, <=, >, >=, BETWEEN
    kPrefix,  // LIKE 'abc%' that an index of this host can serve
};

struct Predicate {
    int column = -1;
    Operator op = Operator::kEqual;
    double selectivity = -1;  // of this predicate alone, 0..1; < 0: not known
    std::string text;         // for the reason, no literals: `status = …`, `started_at >= …`
};

/// A constant of a column with more values than this makes no partial index: hosts need not look
/// its selectivity up.
inline constexpr double kMostStatesOfColumn = 20;

/// What an index that is more than a B-tree over columns could do for one use: the raw material of
/// the kinds partial, expression, gin, trigram and brin. The host vouches that such an index can be
/// built here; whether it pays is the planner's to say.
struct KindCondition {
    IndexKind kind = IndexKind::kPartial;
    std::string sql = {};            // partial: the WHERE; else the key where it is no plain column
    int column = -1;                 // gin, trigram, brin: the key where `sql` is empty
    std::vector<int> columns = {};   // all that it names, ascending
    Operator op = Operator::kEqual;  // expression: how it is compared; partial: kIsNull says that
                                     // it tests for NULL, either way
    std::string opclass = {};        // gin, trigram: the operator class in DDL; empty: the default
    double selectivity = -1;         // as Predicate's
    std::string text = {};           // for the reason
};

/// A kind of index that a reader may expect here and that cannot be built.
struct KindRefusal {
    IndexKind kind = IndexKind::kExpression;
    std::string key;      // expression or column
    std::string because;  // `to_char is not immutable`, `pg_trgm is not installed …`
};

struct SortKey {
    int column = -1;
    bool descending = false;
    bool nulls_first = false;
};

/// How one statement uses one relation (once per mention: a self-join has two).
struct RelationUse {
    RelationId relation = -1;
    std::vector<Predicate> predicates = {};  // those of AND-ed top level and of single OR branches
    std::vector<SortKey> order = {};  // leading ORDER BY keys that are columns of this relation
    std::vector<int> group = {};      // GROUP BY / DISTINCT columns of this relation
    std::vector<int> needed = {};     // all columns the statement reads, ascending
    bool has_limit = false;           // a LIMIT stands above this relation's order
    std::vector<KindCondition> conditions = {};
    std::vector<KindRefusal> refusals = {};
    std::vector<int> parsed_json = {};  // columns of JSON text that conditions look into
};

enum class StatementKind : uint8_t { kSelect, kInsert, kUpdate, kDelete, kOther };

struct Statement {
    StatementId id = -1;
    StatementKind kind = StatementKind::kSelect;
    int64_t fingerprint = 0;          // PostgreSQL: queryid; SQLite: hash of the normalised text
    std::vector<RelationUse> uses;    // base relations only, also inside views and subqueries
    std::vector<RelationId> written;  // targets of INSERT/UPDATE/DELETE
    bool is_generic = false;          // parameters without values: priced for values in general
};

struct Price {
    double cost = 0;            // PostgreSQL: planner units; SQLite: steps + 5 x pages
    std::vector<IndexId> used;  // the given indexes that the plan uses, ascending, each once
    // What it may cost beyond that: the planner took a walk in order because a LIMIT is met early
    // if the rows that pass its filter are spread evenly, and they are not, or nobody knows.
    // Choices count it in, no figure that is shown does.
    double risk = 0;
    // What choices count on top, of either sign, because the database may be in another state once
    // the indexes exist (SQLite: analysed or not): half the way to the price there.
    double elsewhere = 0;
    // By how much the statement is too slow in the worse of these states, beside none of `indexes`;
    // 0: it is not. Sets with harm are not advised.
    double harm = 0;
};

struct Explained {
    double cost = 0;
    std::string plan_json;
    std::vector<std::string>
        used_names;  // all indexes the plan uses, existing ones too, in plan order
};

/// How this host writes index DDL.
struct Dialect {
    std::string_view create_index;  // `CREATE INDEX CONCURRENTLY IF NOT EXISTS`
    std::string_view drop_index;    // `DROP INDEX CONCURRENTLY IF EXISTS`
    std::string_view
        plain_create_index;  // where concurrency is impossible (temporary, partitioned)
    std::string_view plain_drop_index;
    bool has_include = false;          // INCLUDE (…)
    bool has_nulls_order = false;      // NULLS FIRST / LAST
    bool schema_before_index = false;  // SQLite: CREATE INDEX aux.i ON t; PostgreSQL: … i ON s.t
    bool has_checked_text =
        false;  // texts are valid in the host's encoding, which may not be UTF-8
    int max_name_bytes = 63;
};

/// What a call of the advisor does at the moment.
enum class Phase : uint8_t {
    kAnalysing,   // reading the statements
    kCollecting,  // pricing them as they are
    kSearching,   // choosing among candidates
    kPricing,     // planning the chosen set again
    kExplaining,  // explain_rejections: pricing what was not chosen
    kDone,
};

constexpr std::string_view PhaseName(Phase phase) {
    switch (phase) {
        case Phase::kAnalysing:
            return "analysing";
        case Phase::kCollecting:
            return "collecting";
        case Phase::kSearching:
            return "searching";
        case Phase::kPricing:
            return "pricing";
        case Phase::kExplaining:
            return "explaining";
        case Phase::kDone:
            break;
    }
    return "done";
}

/// How far a call of the advisor is.
struct Progress {
    Phase phase = Phase::kAnalysing;
    int64_t statements_done = 0;  // in this phase
    int64_t statements_total = 0;
    int64_t planner_calls = 0;
    int64_t cache_hits = 0;
    double best_saving_ratio = 0;
};

class WhatIf {
  public:
    virtual ~WhatIf() = default;

    /// Parses and analyses one statement for the caller, with the caller's rights; plans nothing.
    /// Errors: kInvalidArgument (not one statement, does not parse: the host's own text),
    ///         kNotFound (a relation or column does not exist), kPermissionDenied.
    virtual Result<Statement> Analyse(std::string_view text) = 0;

    /// What the host looks up by itself for each execution of the statement, and its planner leaves
    /// out of the price: foreign keys when rows go. Statements of their own, priced as risk alone:
    /// their Price::cost is 0. Empty: none, or not known.
    virtual std::vector<Statement> ChecksOf(StatementId statement) {
        static_cast<void>(statement);
        return {};
    }

    /// Facts of a relation that an analysed statement or a declared index named.
    virtual const Relation& relation(RelationId id) const = 0;

    /// Declares a hypothetical index. Equal specs give equal ids.
    /// Errors: kUnsupported (kind, expression or predicate that this host cannot hypothesise).
    virtual Result<IndexId> Declare(const IndexSpec& spec) = 0;

    /// The same from the caller's own CREATE INDEX text; the name in the text names it in plans.
    /// Errors: as Analyse, and kInvalidArgument if it is no CREATE INDEX.
    virtual Result<IndexId> DeclareSql(std::string_view create_index) = 0;

    /// Cost of the statement if, beside what exists, exactly `indexes` existed, made in this order.
    /// Note: plans only, never executes.
    virtual Result<Price> PriceWith(StatementId statement, std::span<const IndexId> indexes) = 0;

    /// The same with the plan as JSON text (always planned afresh, never from a cache).
    virtual Result<Explained> Explain(StatementId statement, std::span<const IndexId> indexes) = 0;

    /// Estimated bytes of the index once built (B-tree deduplication counted).
    virtual double SizeBytes(IndexId index) = 0;
    /// How much larger it may turn out: what counts against a budget, and is not shown.
    virtual double SizeDoubtBytes(IndexId /*index*/) { return 0; }

    /// Cost that the index adds to one execution of a writing statement, in PriceWith's unit;
    /// nullopt: this port cannot say.
    virtual std::optional<double> WriteCost(IndexId index, StatementId statement) = 0;

    /// Is the price what the host's planner itself makes as small as it can, so that one more index
    /// never makes a plan dearer?
    virtual bool IsPriceMinimal() const { return false; }

    /// Does a plan cost less than looking for one among many that are known?
    virtual bool IsPlanCheap() const { return false; }

    /// May the order in which indexes are made decide which of equally good ones a plan takes?
    virtual bool DependsOnOrder() const { return false; }

    virtual Dialect dialect() const = 0;
    /// Why no index of this kind can be had in this database, with what would help; nullopt: it
    /// can.
    virtual std::optional<Error> WhyNoKind(IndexKind kind) const {
        static_cast<void>(kind);
        return std::nullopt;
    }
    virtual std::string Quote(std::string_view name) const = 0;
    /// Is there a relation or index of this name where an index of `relation` would be created?
    virtual bool NameTaken(RelationId relation, std::string_view index_name) const = 0;

    /// Fingerprints of captured statements that the workload lacks because the caller may not run
    /// them; 0 stands for those that he may not even see.
    virtual std::vector<int64_t> Forbidden() const { return {}; }

    /// The relation's indexes as index_findings sees them, but for those that a statement of this
    /// call names (INDEXED BY). Empty: nothing can be said. Reads the catalog: asked once a call.
    virtual std::vector<health::IndexDescription> ExistingIndexes(RelationId relation) {
        static_cast<void>(relation);
        return {};
    }
    /// `spec` as it would stand among them; nullopt: it cannot be compared with them.
    virtual std::optional<health::IndexDescription> Describe(const IndexSpec& spec) const {
        static_cast<void>(spec);
        return std::nullopt;
    }

    /// Milliseconds since the port was made (monotonic).
    virtual int64_t ElapsedMs() const = 0;
    /// True when the caller cancelled. Asked before every planner call; PostgreSQL raises instead.
    virtual bool ShouldStop() = 0;
    /// Told before each planner call and at each change of phase, so it has to be cheap; for
    /// whoever watches. Nothing depends on it.
    virtual void Report(const Progress& progress) { static_cast<void>(progress); }
};

}  // namespace upkeep::advisor
