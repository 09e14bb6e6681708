// SPDX-License-Identifier: PostgreSQL
#include "lint.h"

#include <map>
#include <string>
#include <vector>

#include "act_as.h"
#include "analyse.h"
#include "capture_views.h"
#include "guard.h"
#include "lint_index.h"
#include "lint_walk.h"
#include "relation_facts.h"
#include "upkeep/capture/lint.h"

extern "C" {
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "nodes/bitmapset.h"
#include "parser/parse_type.h"
}

namespace upkeep::pg {

namespace {

using capture::LintCondition;
using capture::LintFacts;
using capture::LintStatement;

constexpr size_t kMostStatements = 1000;
constexpr int kMostParameters = 1000;  // that notes are read of

/// Notes of a text as the server's own: types of parameters, patterns that begin with a wildcard.
struct PlainNotes {
    int numbers[kMostParameters];
    const char* types[kMostParameters];  // nullptr: a wildcard
    int count = 0;
};

/// What one statement's analysis gave, in the memory of its context.
struct Analysed {
    PlainLint* lint;
    List* relations;
};

Oid TypeNamed(const char* name) {
    Oid type = InvalidOid;
    int32 typmod = -1;
    parseTypeString(name, &type, &typmod, true);
    return type;
}

/// Are there relations, and are they all those that initdb made?
bool IsOfCatalogOnly(const List* relations) {
    for (int i = 0; i < list_length(relations); ++i) {
        if (relations->elements[i].oid_value >= FirstNormalObjectId) {
            return false;
        }
    }
    return relations != NIL;
}

Analysed Analyse(const char* text, const PlainNotes* notes) {
    Bitmapset* wildcards = nullptr;
    auto* types = static_cast<Oid*>(palloc0(sizeof(Oid) * (kMostParameters + 1)));
    int count = 0;
    for (int i = 0; i < notes->count; ++i) {
        if (notes->types[i] == nullptr) {
            wildcards = bms_add_member(wildcards, notes->numbers[i]);
        } else {
            types[notes->numbers[i] - 1] = TypeNamed(notes->types[i]);
            count = std::max(count, notes->numbers[i]);
        }
    }
    const PlainStatement* statement = AnalyseStatement(text, {types, count});
    // A rule leaves nothing of it, or a tool asked the catalog and nobody can write it otherwise.
    if (statement->queries == NIL || IsOfCatalogOnly(statement->relations)) {
        return {};
    }
    return {WalkForLint(linitial_node(Query, statement->queries), wildcards), statement->relations};
}

/// Names and sizes of relations, each read once a call.
class Tables {
  public:
    struct Table {
        std::string name;
        std::string schema_quoted;
        double rows = 0;
        bool is_analysed = true;
        bool is_view = false;
        std::vector<std::string> columns;  // by attribute number - 1; "": dropped
    };

    /// nullptr: it is gone.
    const Table* Find(Oid relid) {
        const auto [place, is_new] = known_.try_emplace(relid);
        if (is_new) {
            Result<PlainRelation*> read = InSubtransaction([relid] { return ReadRelation(relid); });
            if (read.ok()) {
                place->second = Describe(relid, *read.value());
            }
        }
        return place->second.name.empty() ? nullptr : &place->second;
    }

  private:
    static Table Describe(Oid relid, const PlainRelation& plain) {
        Table table;
        table.name = plain.display_name;
        table.rows = plain.rows;
        const char kind = CallHost([relid] { return get_rel_relkind(relid); });
        table.is_view = kind == RELKIND_VIEW;
        const bool has_rows = kind == RELKIND_RELATION || kind == RELKIND_MATVIEW ||
                              kind == RELKIND_PARTITIONED_TABLE;
        table.is_analysed = !has_rows || CallHost([relid] { return HasStatistics(relid); });
        constexpr double kGuessedBlocks = 10;  // table_block_relation_estimate_size()
        if (const double blocks = CallHost([relid] { return BlocksOf(relid); });
            !table.is_analysed && kind != RELKIND_PARTITIONED_TABLE && blocks < kGuessedBlocks) {
            table.rows *= blocks / kGuessedBlocks;
        }
        for (int i = 0; i < plain.columns.count; ++i) {
            const char* name = plain.columns.items[i].name;
            table.columns.emplace_back(CallHost([name] { return quote_identifier(name); }));
            if (name[0] == '\0') {
                table.columns.back().clear();
            }
        }
        return table;
    }

    std::map<Oid, Table> known_;
};

class Facts {
  public:
    Facts(Tables& tables, const Analysed& analysed) : tables_(tables), analysed_(analysed) {}

    LintFacts Make() {
        const PlainLint& plain = *analysed_.lint;
        LintFacts facts;
        facts.has_limit = plain.has_limit;
        facts.has_offset = plain.has_offset;
        AddTables(&facts);
        for (int i = 0; i < plain.functions.count; ++i) {
            const PlainCondition& one = plain.functions.items[i];
            AddCondition(one, one.can_be_indexed ? ExpressionIndex(one) : "", &facts.functions);
        }
        for (int i = 0; i < plain.casts.count; ++i) {
            const PlainCondition& one = plain.casts.items[i];
            const std::string type =
                CallHost([&one] { return format_type_be(get_atttype(one.relid, one.attno)); });
            AddCondition(one, "CAST(value AS " + type + ")", &facts.casts);
        }
        for (int i = 0; i < plain.wildcards.count; ++i) {
            AddCondition(plain.wildcards.items[i], TrigramIndex(plain.wildcards.items[i]),
                         &facts.wildcards);
        }
        for (int i = 0; i < plain.not_in.count; ++i) {
            AddCondition(plain.not_in.items[i], "", &facts.not_in);
        }
        AddKeyset(&facts);
        return facts;
    }

  private:
    std::string ColumnName(Oid relid, AttrNumber attno) {
        const Tables::Table* table = tables_.Find(relid);
        const auto place = static_cast<size_t>(attno - 1);
        return table != nullptr && place < table->columns.size() ? table->columns[place] : "?";
    }

    std::string ExpressionIndex(const PlainCondition& one) {
        const Tables::Table* table = tables_.Find(one.relid);
        return table == nullptr
                   ? ""
                   : "CREATE INDEX CONCURRENTLY ON " + table->name + " ((" + one.expression + "))";
    }

    std::string TrigramIndex(const PlainCondition& one) {
        const Tables::Table* table = tables_.Find(one.relid);
        return table == nullptr ? ""
                                : "CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE INDEX "
                                  "CONCURRENTLY ON " +
                                      table->name + " USING gin (" +
                                      ColumnName(one.relid, one.attno) + " gin_trgm_ops)";
    }

    void AddCondition(const PlainCondition& one, const std::string& sql,
                      std::vector<LintCondition>* to) {
        const Tables::Table* table = tables_.Find(one.relid);
        if (table == nullptr) {
            return;
        }
        LintCondition made;
        made.table = table->name;
        made.column = ColumnName(one.relid, one.attno);
        made.table_rows = table->rows;
        made.expression = one.expression;
        made.index_name = one.index_name;
        made.create_sql = sql;
        made.detail = one.detail == nullptr ? "" : one.detail;
        to->push_back(std::move(made));
    }

    void AddTables(LintFacts* facts) {
        const PlainLint& plain = *analysed_.lint;
        for (int i = 0; i < list_length(analysed_.relations); ++i) {
            AddTable(analysed_.relations->elements[i].oid_value, nullptr, facts);
        }
        for (int i = 0; i < plain.shown.count; ++i) {
            AddTable(plain.shown.items[i].relid, plain.shown.items[i].alias, facts);
        }
    }

    /// `alias` nullptr: named somewhere, not shown.
    void AddTable(Oid relid, const char* alias, LintFacts* facts) {
        const Tables::Table* table = tables_.Find(relid);
        if (table == nullptr) {
            return;
        }
        capture::LintTable made;
        made.name = table->name;
        made.rows = table->rows;
        made.is_analysed = table->is_analysed;
        made.is_shown = alias != nullptr;
        made.alias = alias == nullptr ? "" : alias;
        for (const std::string& column : table->columns) {
            if (!column.empty() && made.is_shown) {
                made.columns.push_back(column);
            }
        }
        facts->tables.push_back(std::move(made));
    }

    void AddKeyset(LintFacts* facts) {
        const PlainLint& plain = *analysed_.lint;
        const Tables::Table* table =
            OidIsValid(plain.keyset) ? tables_.Find(plain.keyset) : nullptr;
        if (table == nullptr) {
            return;
        }
        capture::LintKeyset keyset;
        keyset.table = table->name;
        keyset.is_descending = plain.is_descending;
        for (int i = 0; i < plain.keyset_order.count; ++i) {
            keyset.order.push_back(ColumnName(plain.keyset, plain.keyset_order.items[i]));
        }
        for (int i = 0; i < plain.tie_breaker.count; ++i) {
            keyset.tie_breaker.push_back(ColumnName(plain.keyset, plain.tie_breaker.items[i]));
        }
        facts->keyset = std::move(keyset);
    }

    Tables& tables_;
    const Analysed& analysed_;
};

PlainNotes* NotesFor(const std::vector<capture::LintNote>& found) {
    auto* notes = CallHost([] { return static_cast<PlainNotes*>(palloc0(sizeof(PlainNotes))); });
    for (const capture::LintNote& note : found) {
        if (note.parameter < 1 || note.parameter > kMostParameters ||
            notes->count == kMostParameters) {
            continue;
        }
        const bool is_wildcard = note.text == "%...";
        const char* text = note.text.c_str();
        notes->numbers[notes->count] = note.parameter;
        notes->types[notes->count++] =
            is_wildcard ? nullptr : CallHost([text] { return pstrdup(text); });
    }
    return notes;
}

/// A memory context of one statement's analysis. An unwinding leaves it to its parent.
class Scratch {
  public:
    Scratch() {
        context_ = CallHost([] {
            return AllocSetContextCreate(CurrentMemoryContext, "upkeep lint",
                                         ALLOCSET_DEFAULT_SIZES);
        });
        outer_ = MemoryContextSwitchTo(context_);
    }
    ~Scratch() {
        MemoryContextSwitchTo(outer_);
        if (std::uncaught_exceptions() == unwinding_) {
            MemoryContextDelete(context_);
        }
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

  private:
    MemoryContext context_ = nullptr;
    MemoryContext outer_ = nullptr;
    int unwinding_ = std::uncaught_exceptions();
};

void LintOne(const LintStatement& statement, Tables& tables, RowSink& rows) {
    CallHostVoid([] { CHECK_FOR_INTERRUPTS(); });
    if (statement.query.find("upkeep.") != std::string::npos) {
        return;
    }
    LintFacts facts;
    {
        const Scratch scratch;
        const char* text = statement.query.c_str();
        const PlainNotes* notes =
            NotesFor(capture::NotesOf(statement.query, capture::SqlDialect::kPostgres));
        // Analysis runs nobody's functions; names and rights are those of who ran the statement.
        const ActAs acting(statement.user);
        const Result<Analysed> analysed =
            InSubtransaction([=] { return Analyse(text, notes); }, Keep::kNothing);
        if (!analysed.ok() || analysed.value().lint == nullptr) {
            return;  // a table of it is gone, or its author may not read it any more
        }
        facts = Facts(tables, analysed.value()).Make();
    }
    capture::LintRows(statement, facts, capture::SqlDialect::kPostgres, rows);
}

}  // namespace

void LintStatements(RowSink& rows) {
    Tables tables;
    for (const LintStatement& statement : capture::LintWorkload(
             VisibleStatements(Texts::kRead, true), /*has_blocks=*/true, kMostStatements)) {
        LintOne(statement, tables, rows);
    }
}

}  // namespace upkeep::pg
