// SPDX-License-Identifier: PostgreSQL
#include "recorder.h"

#include <algorithm>
#include <cstdlib>

#include "private_copy.h"

namespace upkeep::sqlite {

namespace {

// Cost told to the planner for every offer: so small that neither an automatic index nor an OR
// plan over several offers can beat it, and every mention ends in exactly one offer.
constexpr double kTinyCost = 1;
// colUsed has one bit a column; the last one stands for all further columns.
constexpr int kLastColumnBit = 63;
// Statements with more offers than this are cut (joins of very many tables).
constexpr size_t kMaxOffers = 20000;

/// One call of xBestIndex.
struct Offer {
    const void* table = nullptr;  // the StandInTable
    std::vector<Term> terms;      // is_join: not usable in this call
    std::vector<SortTerm> order;
    int distinct = 0;
    uint64_t used = 0;
};

struct StandInTable {
    sqlite3_vtab base;  // must be first
    std::string schema;
    std::string name;
    int column_count = 0;
    Recorder::Log* log = nullptr;
};

}  // namespace

struct Recorder::Log {
    std::vector<Offer> offers;
};

namespace {

Offer ReadOffer(sqlite3_index_info* info) {
    Offer offer;
    for (int i = 0; i < info->nConstraint; ++i) {
        const auto& constraint = info->aConstraint[i];
        Term term;
        term.column = constraint.iColumn;
        term.op = constraint.op;
        term.is_join = constraint.usable == 0;
        const bool is_limit = constraint.op == SQLITE_INDEX_CONSTRAINT_LIMIT ||
                              constraint.op == SQLITE_INDEX_CONSTRAINT_OFFSET;
        if (!is_limit) {
            const char* collation = sqlite3_vtab_collation(info, i);
            term.collation = collation == nullptr ? "BINARY" : collation;
            term.is_in = sqlite3_vtab_in(info, i, -1) != 0;
        }
        sqlite3_value* value = nullptr;
        if (sqlite3_vtab_rhs_value(info, i, &value) == SQLITE_OK && value != nullptr) {
            term.literal = Literal(value);
        }
        offer.terms.push_back(std::move(term));
    }
    for (int i = 0; i < info->nOrderBy; ++i) {
        offer.order.push_back({info->aOrderBy[i].iColumn, info->aOrderBy[i].desc != 0});
    }
    offer.distinct = sqlite3_vtab_distinct(info);
    offer.used = info->colUsed;
    return offer;
}

/// Takes every usable constraint, so that the planner goes on to ask without the joins.
void Accept(sqlite3_index_info* info, int number) {
    int argument = 0;
    for (int i = 0; i < info->nConstraint; ++i) {
        if (info->aConstraint[i].usable != 0 &&
            info->aConstraint[i].op < SQLITE_INDEX_CONSTRAINT_LIMIT) {
            info->aConstraintUsage[i].argvIndex = ++argument;
        }
    }
    info->idxNum = number;
    info->estimatedCost = kTinyCost;
    info->estimatedRows = 1;
    info->orderByConsumed = info->nOrderBy > 0 ? 1 : 0;
}

int BestIndex(sqlite3_vtab* base, sqlite3_index_info* info) {
    auto* table = reinterpret_cast<StandInTable*>(base);
    return EnterVtab(&base->zErrMsg, [&] {
        size_t number = 0;
        if (table->log != nullptr && table->log->offers.size() < kMaxOffers) {
            Offer offer = ReadOffer(info);
            offer.table = table;
            number = table->log->offers.size();
            table->log->offers.push_back(std::move(offer));
        }
        Accept(info, static_cast<int>(number));
        return SQLITE_OK;
    });
}

int Connect(sqlite3* db, void* log, int argc, const char* const* argv, sqlite3_vtab** out,
            char** message) {
    return EnterVtab(message, [&] {
        std::string sql = "CREATE TABLE x(";
        for (int i = 3; i < argc; ++i) {
            sql += std::string(i > 3 ? ", " : "") + argv[i];
        }
        const int code = sqlite3_declare_vtab(db, (sql + ")").c_str());
        if (code != SQLITE_OK) {
            throw HostError(db, code);
        }
        auto table = std::make_unique<StandInTable>();
        table->schema = argv[1];
        table->name = argv[2];
        table->column_count = argc - 3;
        table->log = static_cast<Recorder::Log*>(log);
        *out = &table.release()->base;
        return SQLITE_OK;
    });
}

int Disconnect(sqlite3_vtab* base) {
    delete reinterpret_cast<StandInTable*>(base);
    return SQLITE_OK;
}

// Never stepped; here because the planner wants complete modules.
int Open(sqlite3_vtab*, sqlite3_vtab_cursor** out) {
    *out = nullptr;
    return SQLITE_ERROR;
}
int Close(sqlite3_vtab_cursor*) {
    return SQLITE_OK;
}
int Filter(sqlite3_vtab_cursor*, int, const char*, int, sqlite3_value**) {
    return SQLITE_ERROR;
}
int Next(sqlite3_vtab_cursor*) {
    return SQLITE_ERROR;
}
int Eof(sqlite3_vtab_cursor*) {
    return 1;
}
int ReadColumn(sqlite3_vtab_cursor*, sqlite3_context*, int) {
    return SQLITE_ERROR;
}
int ReadRowid(sqlite3_vtab_cursor*, sqlite3_int64*) {
    return SQLITE_ERROR;
}
int Update(sqlite3_vtab*, int, sqlite3_value**, sqlite3_int64*) {
    return SQLITE_READONLY;
}

const sqlite3_module kStandIn = [] {
    sqlite3_module module = {};
    module.iVersion = 1;
    module.xCreate = Connect;
    module.xConnect = Connect;
    module.xBestIndex = BestIndex;
    module.xDisconnect = Disconnect;
    module.xDestroy = Disconnect;
    module.xOpen = Open;
    module.xClose = Close;
    module.xFilter = Filter;
    module.xNext = Next;
    module.xEof = Eof;
    module.xColumn = ReadColumn;
    module.xRowid = ReadRowid;
    module.xUpdate = Update;
    return module;
}();

/// Calls about one mention (or one OR branch of it): the offers [first, last).
struct Group {
    size_t first = 0;
    size_t last = 0;
    bool is_mention = false;
    std::string alias;
};

std::vector<Group> GroupOffers(const std::vector<Offer>& offers) {
    std::vector<Group> groups;
    for (size_t i = 0; i < offers.size(); ++i) {
        // The first call about a mention allows every constraint, later ones take some away.
        const bool is_first = std::none_of(offers[i].terms.begin(), offers[i].terms.end(),
                                           [](const Term& term) { return term.is_join; });
        if (is_first || groups.empty()) {
            groups.push_back({i, i + 1, false, ""});
        } else {
            groups.back().last = i + 1;
        }
    }
    return groups;
}

/// Terms of all calls of a group: a join is what was refused to us in one of them.
std::vector<Term> MergedTerms(const std::vector<Offer>& offers, const Group& group) {
    std::vector<Term> terms = offers[group.first].terms;
    for (size_t i = group.first + 1; i < group.last; ++i) {
        for (size_t t = 0; t < std::min(terms.size(), offers[i].terms.size()); ++t) {
            const Term& seen = offers[i].terms[t];
            // IN is withheld once by itself, to ask for a plan without it.
            terms[t].is_join = terms[t].is_join || (seen.is_join && !terms[t].is_in);
        }
    }
    terms.erase(std::remove_if(terms.begin(), terms.end(),
                               [](const Term& term) {
                                   return term.op == SQLITE_INDEX_CONSTRAINT_LIMIT ||
                                          term.op == SQLITE_INDEX_CONSTRAINT_OFFSET;
                               }),
                terms.end());
    return terms;
}

Mention MakeMention(const std::vector<Offer>& offers, const Group& group) {
    const Offer& offer = offers[group.first];
    const auto* table = static_cast<const StandInTable*>(offer.table);
    Mention mention;
    mention.schema = table->schema;
    mention.table = table->name;
    mention.alias = group.alias;
    mention.terms = MergedTerms(offers, group);
    for (const SortTerm& term : offer.order) {
        // 1: GROUP BY, 2: DISTINCT, 3: DISTINCT with ORDER BY (both as one list)
        if (offer.distinct == 1 || offer.distinct == 2) {
            mention.group.push_back(term.column);
        } else {
            mention.order.push_back(term);
        }
    }
    for (int column = 0; column < table->column_count; ++column) {
        const int bit = std::min(column, kLastColumnBit);
        if ((offer.used >> bit & 1) != 0) {
            mention.needed.push_back(column);
        }
    }
    return mention;
}

/// `SCAN alias VIRTUAL TABLE INDEX 12:` -> alias and 12. min(x) and max(x) say SEARCH.
bool ParseScan(std::string_view detail, std::string* alias, size_t* number) {
    constexpr std::string_view kIndex = " VIRTUAL TABLE INDEX ";
    const size_t at = detail.rfind(kIndex);
    const size_t begin = detail.find(' ') + 1;
    const std::string_view verb = detail.substr(0, begin);
    if ((verb != "SCAN " && verb != "SEARCH ") || at == std::string_view::npos || at < begin) {
        return false;
    }
    *alias = std::string(detail.substr(begin, at - begin));
    *number = strtoull(std::string(detail.substr(at + kIndex.size())).c_str(), nullptr, 10);
    return true;
}

}  // namespace

void RegisterStandIn(sqlite3* copy, Recorder::Log* log) {
    const int code = sqlite3_create_module_v2(copy, "upkeep_stand_in", &kStandIn, log, nullptr);
    if (code != SQLITE_OK) {
        throw HostError(copy, code);
    }
}

std::string StandInSql(const CatalogTable& table, const std::vector<CatalogColumn>& columns) {
    std::string sql =
        "CREATE VIRTUAL TABLE " + Qualified(table.schema, table.name) + " USING upkeep_stand_in(";
    for (size_t i = 0; i < columns.size(); ++i) {
        const CatalogColumn& column = columns[i];
        // A type may contain anything that parsed as one; what could end the argument is dropped.
        const bool is_plain = column.type.find_first_of("\"'`[];") == std::string::npos;
        sql += (i > 0 ? ", " : "") + Quoted(column.name) + " " +
               (is_plain ? column.type : std::string()) + " COLLATE " + Quoted(column.collation) +
               (column.is_hidden ? " HIDDEN" : "");
    }
    return sql + ")";
}

Recorder::Recorder(sqlite3* caller, const Catalog& catalog)
    : log_(std::make_unique<Log>()), copy_(OpenPrivateCopy(caller, catalog)) {
    RegisterStandIn(copy_.get(), log_.get());
    copy_.Execute("PRAGMA automatic_index=0");
    copy_.Execute("BEGIN");
    auto try_sql = [&](const std::string& sql) {
        Result<Stmt> made = Stmt::Prepare(copy_.get(), sql);
        if (made.ok()) {
            sqlite3_step(made.value().get());  // a failure shows when the statement is prepared
        }
    };
    for (const CatalogTable& table : catalog.tables()) {
        if (table.kind == TableKind::kView) {
            try_sql(WithSchema(table.sql, table.schema));
        } else {
            try_sql(StandInSql(table, ReadColumns(caller, table.schema, table.name)));
        }
    }
    for (const CatalogObject& trigger : catalog.triggers()) {
        try_sql(WithSchema(trigger.sql, trigger.schema));  // those of views; others are refused
    }
    copy_.Execute("COMMIT");
}

Recorder::~Recorder() = default;

Result<std::vector<Mention>> Recorder::Record(std::string_view statement) {
    log_->offers.clear();
    Result<Stmt> plan = Stmt::Prepare(copy_.get(), "EXPLAIN QUERY PLAN " + std::string(statement));
    if (!plan.ok()) {
        return plan.error();
    }
    std::vector<Group> groups = GroupOffers(log_->offers);
    std::vector<Group*> in_plan;
    while (plan.value().Step()) {
        std::string alias;
        size_t number = 0;
        if (!ParseScan(plan.value().Text(3), &alias, &number)) {
            continue;
        }
        for (Group& group : groups) {
            if (number >= group.first && number < group.last && !group.is_mention) {
                group.is_mention = true;
                group.alias = alias;
                in_plan.push_back(&group);
            }
        }
    }
    std::vector<Mention> mentions;
    for (const Group* group : in_plan) {
        Mention mention = MakeMention(log_->offers, *group);
        // What follows about the same table and was not chosen: branches of its OR-ed conditions.
        for (const Group* next = group + 1;
             next != groups.data() + groups.size() && !next->is_mention &&
             log_->offers[next->first].table == log_->offers[group->first].table;
             ++next) {
            std::vector<Term> branch = MergedTerms(log_->offers, *next);
            if (!branch.empty()) {
                mention.branches.push_back(std::move(branch));
            }
        }
        mentions.push_back(std::move(mention));
    }
    return mentions;
}

}  // namespace upkeep::sqlite
