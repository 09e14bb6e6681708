// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "arguments.h"
#include "guard.h"
#include "own_call.h"
#include "settings_state.h"

namespace upkeep::sqlite {

namespace {

/// Arguments whose default a setting replaces; a setting's default is the argument's.
struct SettingDefault {
    std::string_view call;
    std::string_view parameter;
    std::string_view setting;
};
constexpr SettingDefault kSettingDefaults[] = {
    {"install_workflow_schema", "profile", "workflow_profile"},
};

/// Lives with the registered function; freed by SQLite through DeleteScalar.
struct Scalar {
    const TableFunction& call;
    ValueBody body;
};

void DeleteScalar(void* scalar) {
    delete static_cast<Scalar*>(scalar);
}

/// The same for an aggregate.
struct AggregateCall {
    const TableFunction& call;
    MakeAggregate make;
};

void DeleteAggregate(void* aggregate) {
    delete static_cast<AggregateCall*>(aggregate);
}

Value Call(const Scalar& scalar, sqlite3* db, std::span<sqlite3_value*> given) {
    const TableFunction& call = scalar.call;
    std::vector<Value> values;
    values.reserve(call.parameters.size());
    for (size_t i = 0; i < call.parameters.size(); ++i) {
        const Parameter& parameter = call.parameters[i];
        values.push_back(i < given.size() ? FromSql(parameter, given[i])
                                          : DefaultOf(call, parameter));
    }
    Value result = scalar.body(db, Arguments(call, std::move(values))).OrThrow();
    if (!Fits(call.returns, result)) {
        throw Error(Code::kInternal, SqlName(call) + " returned a value of another type");
    }
    return result;
}

void xScalar(sqlite3_context* context, int count, sqlite3_value** given) {
    Enter(context, [=] {
        const OwnCall own;
        const auto& scalar = *static_cast<const Scalar*>(sqlite3_user_data(context));
        const std::span<sqlite3_value*> values(given, static_cast<size_t>(count));
        ToSql(context, Call(scalar, sqlite3_context_db_handle(context), values));
    });
}

int FunctionFlags(Effect effect) {
    switch (effect) {
        case Effect::kPure:
            return SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
        case Effect::kReads:
            return SQLITE_UTF8;
        case Effect::kActs:
            return SQLITE_UTF8 | SQLITE_DIRECTONLY;
    }
    return SQLITE_UTF8 | SQLITE_DIRECTONLY;
}

/// One registration per number of arguments that the defaults allow.
void RegisterScalar(sqlite3* db, const TableFunction& call, ValueBody body) {
    size_t required = 0;
    for (size_t i = 0; i < call.parameters.size(); ++i) {
        required = call.parameters[i].default_value == nullptr ? i + 1 : required;
    }
    for (size_t count = required; count <= call.parameters.size(); ++count) {
        // On failure SQLite calls DeleteScalar too.
        const int code = sqlite3_create_function_v2(
            db, SqlName(call).c_str(), static_cast<int>(count), FunctionFlags(call.effect),
            new Scalar{call, body}, xScalar, nullptr, nullptr, DeleteScalar);
        if (code != SQLITE_OK) {
            throw HostError(db, code);
        }
    }
}

/// What SQLite keeps for us while it aggregates; zeroed memory, so no constructor.
struct AggregateState {
    Aggregate* made;
};

/// The aggregate of this group or frame; made at its first row.
Aggregate& StateOf(sqlite3_context* context) {
    auto* state =
        static_cast<AggregateState*>(sqlite3_aggregate_context(context, sizeof(AggregateState)));
    if (state == nullptr) {
        throw std::bad_alloc();
    }
    if (state->made == nullptr) {
        state->made =
            static_cast<const AggregateCall*>(sqlite3_user_data(context))->make().release();
    }
    return *state->made;
}

Value AggregateArgument(sqlite3_context* context, sqlite3_value** given) {
    const auto& call = static_cast<const AggregateCall*>(sqlite3_user_data(context))->call;
    return FromSql(call.parameters[0], given[0]);
}

void xStep(sqlite3_context* context, int, sqlite3_value** given) {
    Enter(context, [=] { StateOf(context).Add(AggregateArgument(context, given)); });
}

void xInverse(sqlite3_context* context, int, sqlite3_value** given) {
    Enter(context, [=] { StateOf(context).Remove(AggregateArgument(context, given)); });
}

void xValue(sqlite3_context* context) {
    Enter(context, [=] { ToSql(context, StateOf(context).Result()); });
}

/// Also called after an error in xStep, and for groups without a row (then there is no state).
void xFinal(sqlite3_context* context) {
    Enter(context, [=] {
        auto* state = static_cast<AggregateState*>(sqlite3_aggregate_context(context, 0));
        const std::unique_ptr<Aggregate> made(
            state == nullptr ? nullptr : std::exchange(state->made, nullptr));
        ToSql(context, made == nullptr ? Value() : made->Result());
    });
}

void RegisterAggregate(sqlite3* db, const TableFunction& call, MakeAggregate make) {
    if (call.parameters.size() != 1) {
        throw Error(Code::kInternal, SqlName(call) + " must have one parameter");
    }
    // On failure SQLite calls DeleteAggregate too.
    const int code = sqlite3_create_window_function(
        db, SqlName(call).c_str(), 1, FunctionFlags(call.effect), new AggregateCall{call, make},
        xStep, xFinal, xValue, xInverse, DeleteAggregate);
    if (code != SQLITE_OK) {
        throw HostError(db, code);
    }
}

}  // namespace

Timestamp Now() {
    using std::chrono::milliseconds;
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<milliseconds>(since).count() * 1000};
}

std::string SqlName(const TableFunction& call) {
    return "upkeep_" + std::string(call.name);
}

Value DefaultOf(const TableFunction& call, const Parameter& parameter) {
    for (const SettingDefault& row : kSettingDefaults) {
        if (row.call == call.name && row.parameter == parameter.name) {
            return SettingValue(row.setting);
        }
    }
    Value value = DefaultValue(call, parameter, /*sqlite=*/true).OrThrow();
    const auto* word = std::get_if<std::string>(&value);
    if (parameter.type == Type::kTimestamp && word != nullptr) {
        return TimeOfWord(*word, Now()).OrThrow();
    }
    return value;
}

void RegisterCalls(sqlite3* db, std::span<const TableFunction* const> calls,
                   std::span<const Body> bodies) {
    for (const TableFunction* call : calls) {
        for (const Body& body : bodies) {
            if (call->hosts == Hosts::kPostgres || body.call != call->name) {
                continue;
            }
            if (body.table != nullptr) {
                body.table(db, *call);
            } else if (call->kind == CallKind::kScalar) {
                RegisterScalar(db, *call, body.value);
            } else if (call->kind == CallKind::kAggregate) {
                RegisterAggregate(db, *call, body.aggregate);
            } else {
                RegisterRows(db, *call, body.rows);
            }
        }
    }
}

}  // namespace upkeep::sqlite
