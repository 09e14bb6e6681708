// SPDX-License-Identifier: PostgreSQL
#include "analysis.h"

#include <algorithm>

#include "upkeep/base/text.h"

namespace upkeep::sqlite {

namespace {

using advisor::Operator;
using advisor::StatementKind;

constexpr std::string_view kOneStatement = "give one SELECT, INSERT, UPDATE or DELETE statement";
constexpr std::string_view kOneIndex = "give one CREATE INDEX statement for each index";

/// What the authorizer was asked while one text was prepared.
struct Actions {
    Touched touched;
    bool reads = false;
    bool inserts = false, updates = false, deletes = false;
    bool is_other = false;  // anything but reading and writing rows
    std::set<std::pair<std::string, std::string>> written_below;  // by triggers
    NewIndex index;
    bool makes_index = false;
    bool connects = false;  // a virtual table for the first time: its declaration looks like writes
};

std::string TextOf(const char* text) {
    return text == nullptr ? "" : text;
}

TableWrite* NoteWrite(Actions* actions, bool Actions::*kind, const char* table, const char* schema,
                      const char* trigger) {
    const std::pair<std::string, std::string> place = {TextOf(schema), TextOf(table)};
    actions->touched.tables.insert(place);
    if (trigger == nullptr) {
        actions->*kind = true;
        actions->touched.written.insert(place);
    } else {
        actions->written_below.insert(place);
    }
    return &actions->touched.writes[place];
}

/// Nothing is run, but some PRAGMAs act when they are prepared: those are denied.
int Authorize(void* data, int action, const char* first, const char* second, const char* schema,
              const char* trigger) {
    auto* actions = static_cast<Actions*>(data);
    switch (action) {
        case SQLITE_SELECT:
            actions->reads = true;
            return SQLITE_OK;
        case SQLITE_READ:
            actions->touched.tables.emplace(TextOf(schema), TextOf(first));
            return SQLITE_OK;
        case SQLITE_INSERT:
            NoteWrite(actions, &Actions::inserts, first, schema, trigger)->inserts = true;
            return SQLITE_OK;
        case SQLITE_UPDATE:
            actions->connects = actions->connects || TextOf(first) == "sqlite_master";
            NoteWrite(actions, &Actions::updates, first, schema, trigger)
                ->changed.insert(Lower(TextOf(second)));
            return SQLITE_OK;
        case SQLITE_DELETE:
            NoteWrite(actions, &Actions::deletes, first, schema, trigger)->deletes = true;
            return SQLITE_OK;
        case SQLITE_FUNCTION:
        case SQLITE_RECURSIVE:
            return SQLITE_OK;
        case SQLITE_CREATE_INDEX:
        case SQLITE_CREATE_TEMP_INDEX:
            actions->makes_index = true;
            actions->index.name = TextOf(first);
            actions->index.table = TextOf(second);
            actions->index.schema = TextOf(schema);
            actions->is_other = true;
            return SQLITE_OK;
        case SQLITE_REINDEX:  // part of CREATE INDEX
            actions->is_other = true;
            return SQLITE_OK;
        default:
            actions->is_other = true;
            return SQLITE_DENY;
    }
}

bool StartsWith(std::string_view text, std::string_view head) {
    return text.substr(0, head.size()) == head;
}

bool HasTable(sqlite3* db, const std::string& name) {
    Result<Stmt> columns = Stmt::Prepare(db, "PRAGMA table_xinfo(" + Quoted(name) + ")");
    return columns.ok() && columns.value().Step();
}

/// The host's refusal in the core's words.
Error Refusal(const Replica& replica, sqlite3* caller, const Error& error, std::string_view hint) {
    if (error.code() != Code::kHost) {
        return error;
    }
    const std::string& text = error.message();
    constexpr std::string_view kNoTable = "no such table: ";
    if (StartsWith(text, kNoTable)) {
        std::string name = text.substr(kNoTable.size());
        const std::string whole = name;
        if (const size_t dot = name.find('.'); dot != std::string::npos) {
            name = name.substr(dot + 1);
        }
        if (const std::string* reason = replica.Missing(name); reason != nullptr) {
            return {Code::kUnsupported,
                    "table " + whole + " cannot be copied for planning: " + *reason,
                    "ask about statements that do not use it"};
        }
        // The caller has it although no schema lists it: it is made by a module.
        if (HasTable(caller, name) && !HasTable(replica.db(), name)) {
            return {Code::kUnsupported,
                    "table-valued function " + whole + " cannot be planned here",
                    "ask about statements that do not use it"};
        }
        return {Code::kNotFound, text, "check the name, and that its database is attached"};
    }
    if (StartsWith(text, "no such column: ") || StartsWith(text, "unknown database ") ||
        text.find(" has no column named ") != std::string::npos) {
        return {Code::kNotFound, text, "check the name; texts stand in single quotes"};
    }
    if (StartsWith(text, "no such function: ")) {
        return {Code::kNotFound, text, "register or load the function in this connection first"};
    }
    if (StartsWith(text, "no such index: ")) {
        return {Code::kNotFound, text, "check the name after INDEXED BY"};
    }
    if (StartsWith(text, "index ") && text.find(" already exists") != std::string::npos) {
        return {Code::kInvalidArgument, text, "give it another name"};
    }
    if (text.find(" may not be indexed") != std::string::npos) {
        return {Code::kUnsupported, text, "only ordinary tables have indexes"};
    }
    return {Code::kInvalidArgument, text, std::string(hint)};
}

/// Only white space, comments and semicolons?
Result<bool> IsBlank(sqlite3* db, std::string_view text) {
    while (!text.empty()) {
        Result<Stmt> next = Stmt::Prepare(db, text);
        if (!next.ok() || !next.value().empty()) {
            return false;
        }
        if (next.value().tail() == 0) {
            break;
        }
        text = text.substr(next.value().tail());
    }
    return true;
}

Result<Stmt> PrepareWatched(sqlite3* db, std::string_view text, Actions* actions) {
    sqlite3_set_authorizer(db, Authorize, actions);
    Result<Stmt> statement = Stmt::Prepare(db, text);
    sqlite3_set_authorizer(db, nullptr, nullptr);
    return statement;
}

/// Prepares the text's one statement under the authorizer.
Result<Actions> Inspect(const Replica& replica, sqlite3* caller, std::string_view text,
                        std::string_view hint) {
    if (!IsUtf8(text)) {
        return Error(Code::kInvalidArgument, "statement is not valid UTF-8", std::string(hint));
    }
    if (text.find('\0') != std::string_view::npos) {
        return Error(Code::kInvalidArgument, "statement contains a zero byte", std::string(hint));
    }
    Actions actions;
    Result<Stmt> statement = PrepareWatched(replica.db(), text, &actions);
    if (actions.connects) {
        actions = {};
        statement = PrepareWatched(replica.db(), text, &actions);
    }
    const bool was_denied = !statement.ok() && statement.error().code() == Code::kPermissionDenied;
    if (was_denied && actions.is_other) {
        return Error(Code::kInvalidArgument, "this kind of statement has no plan",
                     std::string(hint));
    }
    if (!statement.ok()) {
        return Refusal(replica, caller, statement.error(), hint);
    }
    if (statement.value().empty()) {
        return Error(Code::kInvalidArgument, "there is no statement in the text",
                     std::string(hint));
    }
    if (sqlite3_stmt_isexplain(statement.value().get()) != 0) {
        return Error(Code::kInvalidArgument, "statement is an EXPLAIN already",
                     "give the statement without EXPLAIN");
    }
    const size_t tail = statement.value().tail();
    if (!IsBlank(replica.db(), text.substr(tail)).value()) {
        return Error(Code::kInvalidArgument, "there are several statements in the text",
                     std::string(hint));
    }
    actions.touched.text = std::string(text.substr(0, tail));
    actions.touched.has_parameters = sqlite3_bind_parameter_count(statement.value().get()) > 0;
    return actions;
}

Operator OperatorOf(const Term& term) {
    switch (term.op) {
        case SQLITE_INDEX_CONSTRAINT_EQ:
        case SQLITE_INDEX_CONSTRAINT_IS:
            return term.is_in ? Operator::kIn : term.is_join ? Operator::kJoin : Operator::kEqual;
        case SQLITE_INDEX_CONSTRAINT_ISNULL:
            return Operator::kIsNull;
        default:
            return Operator::kRange;
    }
}

const char* Sign(const Term& term) {
    switch (term.op) {
        case SQLITE_INDEX_CONSTRAINT_EQ:
            return term.is_in ? " IN (…)" : " = …";
        case SQLITE_INDEX_CONSTRAINT_IS:
            return " IS …";
        case SQLITE_INDEX_CONSTRAINT_ISNULL:
            return " IS NULL";
        case SQLITE_INDEX_CONSTRAINT_GT:
            return " > …";
        case SQLITE_INDEX_CONSTRAINT_GE:
            return " >= …";
        case SQLITE_INDEX_CONSTRAINT_LT:
            return " < …";
        case SQLITE_INDEX_CONSTRAINT_LE:
            return " <= …";
        default:
            return nullptr;  // nothing that an index could serve
    }
}

void AddPredicates(const std::vector<PricedTerm>& terms, const RelationState& relation,
                   advisor::RelationUse* use) {
    const int rowid = relation.statistics->sample().rowid_column();
    for (const PricedTerm& priced : terms) {
        const int place = priced.term.column < 0 ? rowid : priced.term.column;
        const char* sign = Sign(priced.term);
        if (place < 0 || sign == nullptr) {
            continue;
        }
        const CatalogColumn& column = relation.columns[static_cast<size_t>(place)];
        // Another collation than the column's: a plain index does not serve it.
        const bool is_null_test = priced.term.op == SQLITE_INDEX_CONSTRAINT_ISNULL;
        if (!is_null_test && Lower(priced.term.collation) != Lower(column.collation)) {
            continue;
        }
        advisor::Predicate predicate;
        predicate.column = place;
        predicate.op = OperatorOf(priced.term);
        predicate.selectivity = predicate.op == Operator::kJoin ? -1 : priced.share;
        predicate.text = QuotedIfNeeded(column.name) + sign;
        use->predicates.push_back(std::move(predicate));
    }
}

}  // namespace

Result<Touched> PrepareStatement(const Replica& replica, sqlite3* caller, std::string_view text) {
    Result<Actions> inspected = Inspect(replica, caller, text, kOneStatement);
    if (!inspected.ok()) {
        return inspected.error();
    }
    Actions& actions = inspected.value();
    Touched touched = std::move(actions.touched);
    const bool is_known = actions.reads || actions.inserts || actions.updates || actions.deletes;
    if (actions.is_other || !is_known) {
        return Error(Code::kInvalidArgument, "this kind of statement has no plan",
                     std::string(kOneStatement));
    }
    touched.kind = actions.inserts   ? StatementKind::kInsert
                   : actions.updates ? StatementKind::kUpdate
                   : actions.deletes ? StatementKind::kDelete
                                     : StatementKind::kSelect;
    // A view is written by its triggers.
    touched.written.insert(actions.written_below.begin(), actions.written_below.end());
    std::erase_if(touched.tables, [](const auto& place) { return place.first.empty(); });
    return touched;
}

Result<NewIndex> PrepareIndex(const Replica& replica, sqlite3* caller, std::string_view text) {
    Result<Actions> inspected = Inspect(replica, caller, text, kOneIndex);
    if (!inspected.ok()) {
        return inspected.error();
    }
    Actions& actions = inspected.value();
    if (!IsCreateIndex(actions.touched.text)) {
        return Error(Code::kInvalidArgument, "statement is not a CREATE INDEX",
                     std::string(kOneIndex));
    }
    if (!actions.makes_index) {  // IF NOT EXISTS, and it does
        return Error(Code::kInvalidArgument, "an index of this name exists already",
                     "give it another name");
    }
    actions.index.text = actions.touched.text;
    return actions.index;
}

advisor::RelationUse MakeUse(const Mention& mention, const PricedMention& priced,
                             const RelationState& relation, advisor::RelationId id,
                             bool has_limit) {
    advisor::RelationUse use;
    use.relation = id;
    AddPredicates(priced.terms, relation, &use);
    for (const std::vector<PricedTerm>& branch : priced.branches) {
        AddPredicates(branch, relation, &use);
    }
    const int rowid = relation.statistics->sample().rowid_column();
    for (const SortTerm& term : mention.order) {
        const int column = term.column < 0 ? rowid : term.column;
        if (column < 0) {
            break;
        }
        use.order.push_back({column, term.is_descending, term.is_descending});
    }
    for (const int column : mention.group) {
        if (column >= 0 || rowid >= 0) {
            use.group.push_back(column < 0 ? rowid : column);
        }
    }
    use.needed = mention.needed;
    use.has_limit = has_limit && !use.order.empty();
    return use;
}

}  // namespace upkeep::sqlite
