// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"

#include <memory>
#include <utility>
#include <vector>

#include "arguments.h"
#include "guard.h"
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

}  // namespace

std::string SqlName(const TableFunction& call) {
    return "upkeep_" + std::string(call.name);
}

Value DefaultOf(const TableFunction& call, const Parameter& parameter) {
    for (const SettingDefault& row : kSettingDefaults) {
        if (row.call == call.name && row.parameter == parameter.name) {
            return SettingValue(row.setting);
        }
    }
    return DefaultValue(call, parameter, /*sqlite=*/true).OrThrow();
}

void RegisterCalls(sqlite3* db, std::span<const TableFunction* const> calls,
                   std::span<const Body> bodies) {
    for (const TableFunction* call : calls) {
        for (const Body& body : bodies) {
            if (call->hosts == Hosts::kPostgres || body.call != call->name) {
                continue;
            }
            if (call->kind == CallKind::kScalar) {
                RegisterScalar(db, *call, body.value);
            } else {
                RegisterRows(db, *call, body.rows);
            }
        }
    }
}

}  // namespace upkeep::sqlite
