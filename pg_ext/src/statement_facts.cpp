// SPDX-License-Identifier: PostgreSQL
#include "statement_facts.h"

#include <cstring>

#include "compat.h"
#include "guard.h"
#include "recorder.h"

extern "C" {
#include "access/detoast.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/explain.h"
#include "common/hashfn.h"
#include "nodes/params.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace upkeep::pg {

namespace {

using capture::Operation;

/// Appends one name if it fits as a whole and is not there yet.
void AddName(char (&out)[kTablesRoom], const char* schema, const char* name) {
    char full[kTablesRoom];
    const size_t schema_length = schema == nullptr ? 0 : strlen(schema) + 1;
    const size_t length = schema_length + strlen(name);
    const size_t used = strlen(out);
    if (used + 1 + length + 1 > kTablesRoom) {
        return;
    }
    if (schema != nullptr) {
        memcpy(full, schema, schema_length - 1);
        full[schema_length - 1] = '.';
    }
    memcpy(full + schema_length, name, length - schema_length);
    for (const char* at = out; *at != '\0';) {
        const char* end = strchrnul(at, '\n');
        if (static_cast<size_t>(end - at) == length && memcmp(at, full, length) == 0) {
            return;
        }
        at = *end == '\n' ? end + 1 : end;
    }
    char* to = out + used;
    if (used != 0) {
        *to++ = '\n';
    }
    memcpy(to, full, length);
    to[length] = '\0';
}

/// The relation may be gone: the statement itself may have dropped it.
void AddRelation(char (&out)[kTablesRoom], Oid relation) {
    if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation))) {
        return;
    }
    const char* name = get_rel_name(relation);
    const char* schema =
        RelationIsVisible(relation) ? nullptr : get_namespace_name(get_rel_namespace(relation));
    if (name != nullptr) {
        AddName(out, schema, name);
    }
}

void AddShape(const Plan* plan, PlanShape* shape);

void AddShapes(const List* plans, PlanShape* shape) {
    for (int i = 0; i < list_length(plans); ++i) {
        AddShape(static_cast<const Plan*>(list_nth(plans, i)), shape);
    }
}

void AddShape(const Plan* plan, PlanShape* shape) {
    for (; plan != nullptr; plan = plan->lefttree) {
        switch (nodeTag(plan)) {
            case T_SeqScan:
                ++shape->full_scans;
                break;
            case T_Sort:
            case T_IncrementalSort:
                ++shape->sorts;
                break;
            case T_Append:
                AddShapes(reinterpret_cast<const Append*>(plan)->appendplans, shape);
                break;
            case T_MergeAppend:
                AddShapes(reinterpret_cast<const MergeAppend*>(plan)->mergeplans, shape);
                break;
            case T_SubqueryScan:
                AddShape(reinterpret_cast<const SubqueryScan*>(plan)->subplan, shape);
                break;
            default:
                break;
        }
        if (plan->righttree != nullptr) {
            AddShape(plan->righttree, shape);
        }
    }
}

/// Runs `call`, whose failure must not fail the user's statement, in a subtransaction. False: it
/// failed, or none can be started here. A cancel goes through.
template <typename Call>
bool TryOrCount(Call call) {
    if (IsInParallelMode() || !IsTransactionState()) {
        return false;
    }
    bool done = false;
    ErrorData* error = TryInSubtransaction(call, &done, Keep::kWork);
    if (error == nullptr) {
        return done;
    }
    if (MustUnwind(error)) {
        ReThrowError(error);
    }
    FreeErrorData(error);
    CountOwnError();
    return false;
}

/// A value as SQL; nullptr: it is long.
const char* LiteralOf(const ParamExternData& parameter) {
    constexpr Size kLong = 2048;
    // Without a length: `character` would mean one character.
    const char* type = format_type_extended(parameter.ptype, -1, FORMAT_TYPE_TYPEMOD_GIVEN);
    if (parameter.isnull) {
        return psprintf("NULL::%s", type);
    }
    Oid output = InvalidOid;
    bool is_varlena = false;
    getTypeOutputInfo(parameter.ptype, &output, &is_varlena);
    if (is_varlena && toast_raw_datum_size(parameter.value) > kLong) {
        return nullptr;
    }
    char* text = OidOutputFunctionCall(output, parameter.value);
    return psprintf("%s::%s", quote_literal_cstr(text), type);
}

}  // namespace

Operation OperationOf(CmdType command) {
    switch (command) {
        case CMD_SELECT:
            return Operation::kSelect;
        case CMD_INSERT:
            return Operation::kInsert;
        case CMD_UPDATE:
            return Operation::kUpdate;
        case CMD_DELETE:
            return Operation::kDelete;
        case CMD_MERGE:
            return Operation::kMerge;
        case CMD_UTILITY:
            return Operation::kUtility;
        default:
            return Operation::kOther;
    }
}

void NamesOfTables(const PlannedStmt* planned, char (&out)[kTablesRoom]) {
    out[0] = '\0';
    for (int i = 0; i < list_length(planned->rtable); ++i) {
        const auto* entry = static_cast<const RangeTblEntry*>(list_nth(planned->rtable, i));
        if (entry->rtekind == RTE_RELATION && entry->relkind != RELKIND_VIEW &&
            IsMentioned(entry)) {
            AddRelation(out, entry->relid);
        }
    }
}

namespace {

struct TableNames {
    char (*out)[kTablesRoom];
};

bool AddTablesOf(Node* node, void* context) {
    if (node == nullptr) {
        return false;
    }
    if (!IsA(node, Query)) {
        return WalkExpression(node, AddTablesOf, context);
    }
    auto* query = reinterpret_cast<Query*>(node);
    for (int i = 0; i < list_length(query->rtable); ++i) {
        const auto* entry = static_cast<const RangeTblEntry*>(list_nth(query->rtable, i));
        if (entry->rtekind == RTE_RELATION && entry->relkind != RELKIND_VIEW &&
            IsMentioned(entry)) {
            AddRelation(*static_cast<TableNames*>(context)->out, entry->relid);
        }
    }
    if (!query->hasSubLinks) {  // then no expression holds a query: its range table is enough
        for (int i = 0; i < list_length(query->rtable); ++i) {
            AddTablesOf(reinterpret_cast<Node*>(
                            static_cast<RangeTblEntry*>(list_nth(query->rtable, i))->subquery),
                        context);
        }
        for (int i = 0; i < list_length(query->cteList); ++i) {
            AddTablesOf(static_cast<CommonTableExpr*>(list_nth(query->cteList, i))->ctequery,
                        context);
        }
        return false;
    }
    return WalkQuery(query, AddTablesOf, context, 0);
}

}  // namespace

void NamesOfQueryTables(Query* query, char (&out)[kTablesRoom]) {
    out[0] = '\0';
    TableNames names = {&out};
    AddTablesOf(reinterpret_cast<Node*>(query), &names);
}

const char* NameOfRelation(Oid relation) {
    char name[kTablesRoom] = "";
    AddRelation(name, relation);
    return name[0] == '\0' ? nullptr : pstrdup(name);
}

void NameOfUtilityTable(const Node* utility, char (&out)[kTablesRoom]) {
    out[0] = '\0';
    const RangeVar* table = nullptr;
    if (IsA(utility, CopyStmt)) {
        table = reinterpret_cast<const CopyStmt*>(utility)->relation;
    } else if (IsA(utility, TruncateStmt)) {
        table = static_cast<const RangeVar*>(
            linitial(reinterpret_cast<const TruncateStmt*>(utility)->relations));
    }
    if (table != nullptr) {
        AddName(out, table->schemaname, table->relname);
    }
}

PlanShape ShapeOf(const PlannedStmt* planned) {
    PlanShape shape = {};
    AddShape(planned->planTree, &shape);
    AddShapes(planned->subplans, &shape);
    return shape;
}

bool IsCountedUtility(const Node* utility) {
    return !IsA(utility, ExecuteStmt) && !IsA(utility, PrepareStmt) &&
           !IsA(utility, DeallocateStmt);
}

uint64_t RowsOf(const QueryCompletion* completion) {
    if (completion == nullptr) {
        return 0;
    }
    switch (completion->commandTag) {
        case CMDTAG_COPY:
        case CMDTAG_FETCH:
        case CMDTAG_SELECT:
        case CMDTAG_REFRESH_MATERIALIZED_VIEW:
            return completion->nprocessed;
        default:
            return 0;
    }
}

bool MayHoldPassword(const Node* utility) {
    switch (nodeTag(utility)) {
        case T_CreateRoleStmt:
        case T_AlterRoleStmt:
        case T_AlterRoleSetStmt:
        case T_CreateUserMappingStmt:
        case T_AlterUserMappingStmt:
        case T_CreateForeignServerStmt:
        case T_AlterForeignServerStmt:
        case T_CreateSubscriptionStmt:
        case T_AlterSubscriptionStmt:
        case T_AlterSystemStmt:
            return true;
        default:
            return false;
    }
}

uint64_t FingerprintOfUtility(const char* text, int length) {
    const uint64_t hash =
        DatumGetUInt64(hash_any_extended(reinterpret_cast<const unsigned char*>(text), length, 0));
    return hash != 0 ? hash : 2;  // as the server: 0 is none, 1 pg_stat_statements' own
}

const char* PlanOf(QueryDesc* query) {
    StringInfo text = nullptr;
    const bool done = TryOrCount([query, out = &text] {
        // In the query's own context: what a subtransaction allocates would go with it.
        MemoryContext caller = MemoryContextSwitchTo(query->estate->es_query_cxt);
        ExplainState* state = NewExplainState();
        state->format = EXPLAIN_FORMAT_JSON;
        state->costs = true;
        state->analyze = query->instrument_options != 0;
        state->timing = (query->instrument_options & INSTRUMENT_TIMER) != 0;
        state->buffers = (query->instrument_options & INSTRUMENT_BUFFERS) != 0;
        ExplainBeginOutput(state);
        ExplainPrintPlan(state, query);
        ExplainEndOutput(state);
        // The single-object form, as auto_explain logs it
        if (state->str->len > 0 && state->str->data[state->str->len - 1] == '\n') {
            state->str->data[--state->str->len] = '\0';
        }
        state->str->data[0] = '{';
        state->str->data[state->str->len - 1] = '}';
        *out = state->str;
        MemoryContextSwitchTo(caller);
        return true;
    });
    return done ? text->data : nullptr;
}

const char* ParametersOf(QueryDesc* query) {
    if (query->params == nullptr || query->params->numParams == 0) {
        return nullptr;
    }
    char* text = nullptr;
    TryOrCount([query, out = &text] {
        MemoryContext caller = MemoryContextSwitchTo(query->estate->es_query_cxt);
        *out = BuildParamLogString(query->params, nullptr, 100);
        MemoryContextSwitchTo(caller);
        return true;
    });
    return text;
}

bool LiteralsOf(QueryDesc* query, const char*** literals, int* count) {
    const ParamListInfo params = query->params;
    *count = 0;
    if (params == nullptr || params->numParams == 0) {
        return true;
    }
    if (params->paramFetch != nullptr) {
        return false;
    }
    return TryOrCount([query, params, literals, count] {
        MemoryContext caller = MemoryContextSwitchTo(query->estate->es_query_cxt);
        *literals = static_cast<const char**>(palloc(sizeof(char*) * params->numParams));
        bool are_told = true;
        for (int i = 0; i < params->numParams && are_told; ++i) {
            const bool has_type = OidIsValid(params->params[i].ptype);
            (*literals)[i] = has_type ? LiteralOf(params->params[i]) : nullptr;
            are_told = (*literals)[i] != nullptr;
        }
        *count = params->numParams;
        MemoryContextSwitchTo(caller);
        return are_told;
    });
}

}  // namespace upkeep::pg
