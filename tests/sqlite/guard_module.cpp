// A module of its own, for tests only: calls that fail in every way a body can fail, and calls that
// show what the adapter makes of arguments. Built from the production guards and adapter.
// SPDX-License-Identifier: PostgreSQL
#include <atomic>
#include <chrono>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "adapter.h"
#include "guard.h"
#include "stmt.h"

SQLITE_EXTENSION_INIT1

namespace upkeep::sqlite {

namespace {

std::atomic<int64_t> live_objects{0};
std::atomic<int64_t> actions{0};

/// Weighs 1 kB, so that one that is not destroyed shows in the counter and in memory.
struct Tracked {
    Tracked() { ++live_objects; }
    Tracked(const Tracked& other) : weight(other.weight) { ++live_objects; }
    Tracked& operator=(const Tracked&) = default;
    ~Tracked() { --live_objects; }
    std::string weight = std::string(1024, 'x');
};

void ThrowError(const std::string& kind) {
    static constexpr struct {
        std::string_view name;
        Code code;
    } kCodes[] = {
        {"kInvalidArgument", Code::kInvalidArgument},
        {"kNotFound", Code::kNotFound},
        {"kPermissionDenied", Code::kPermissionDenied},
        {"kUnsupported", Code::kUnsupported},
        {"kBusy", Code::kBusy},
        {"kInterrupted", Code::kInterrupted},
        {"kHost", Code::kHost},
        {"kInternal", Code::kInternal},
    };
    for (const auto& row : kCodes) {
        if (kind == row.name) {
            throw Error(row.code, "thrown " + kind, "do something");
        }
    }
}

/// Fails in the way that `kind` names; NULL bodies of Tracked objects stand in each frame.
void Fail(sqlite3* db, const std::string& kind) {
    const Tracked tracked;
    const std::vector<Tracked> more(3);
    ThrowError(kind);
    if (kind == "bad_alloc") {
        throw std::bad_alloc();
    }
    if (kind == "runtime_error") {
        throw std::runtime_error("thrown runtime_error");
    }
    if (kind == "int") {
        throw 42;  // NOLINT: on purpose
    }
    if (kind == "long") {
        throw Error(Code::kInvalidArgument, std::string(1'000'000, 'm'), std::string(1000, 'h'));
    }
    if (kind == "no hint") {
        throw Error(Code::kInvalidArgument, "thrown without hint");
    }
    if (kind == "host prepare") {
        Stmt(db, "SELECT * FROM missing_table").Run();
    }
    if (kind == "host step") {
        Stmt(db, "SELECT abs(-9223372036854775807 - 1)").Run();
    }
    if (kind == "host percent") {
        Stmt(db, "SELECT * FROM \"100%s%n\"").Run();
    }
    if (kind == "host open") {
        PrivateConnection("/nonexistent/dir/file.db", SQLITE_OPEN_READONLY);
    }
}

Result<Value> ThrowScalar(sqlite3* db, const Arguments& arguments) {
    if (arguments.Text("kind") == "returned") {
        return Error(Code::kNotFound, "returned, not thrown", "look elsewhere");
    }
    if (arguments.Text("kind") == "wrong type") {
        return Value(TextArray{"a"});
    }
    Fail(db, arguments.Text("kind"));
    return Value(int64_t{0});
}

Result<void> ThrowRows(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    const std::string& kind = arguments.Text("kind");
    const Tracked tracked;
    rows.Add({int64_t{1}});  // a row that was made before the failure is not seen
    if (kind == "returned") {
        return Error(Code::kNotFound, "returned, not thrown", "look elsewhere");
    }
    if (kind == "wide row") {
        rows.Add({int64_t{1}, int64_t{2}});
    }
    if (kind == "wrong type") {
        rows.Add({std::string("one")});
    }
    Fail(db, kind);
    return {};
}

Result<Value> LiveObjects(sqlite3*, const Arguments&) {
    return Value(live_objects.load());
}

/// Core code that works on and on and asks the host now and then, as a port's ShouldStop does.
Result<Value> Work(sqlite3* db, const Arguments& arguments) {
    const std::vector<Tracked> held(10);
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(arguments.Integer("length"));
    int64_t rounds = 0;
    while (std::chrono::steady_clock::now() < end) {
        const Tracked tracked;
        Stmt(db, "SELECT 1").Run();
        ++rounds;
    }
    return Value(rounds);
}

Result<void> EchoRows(sqlite3*, const Arguments& arguments, RowSink& rows) {
    Row row;
    for (const Parameter& parameter : arguments.call().parameters) {
        row.push_back(arguments[parameter.name]);
    }
    rows.Add(std::move(row));
    return {};
}

Result<void> CountRows(sqlite3*, const Arguments& arguments, RowSink& rows) {
    for (int64_t i = 1; i <= arguments.Integer("up_to"); ++i) {
        rows.Add({i});
    }
    return {};
}

Result<void> ActRows(sqlite3*, const Arguments&, RowSink& rows) {
    rows.Add({++actions});
    rows.Add({int64_t{0}});
    return {};
}

Result<Value> ActScalar(sqlite3*, const Arguments&) {
    return Value(++actions);
}

Result<Value> Actions(sqlite3*, const Arguments&) {
    return Value(actions.load());
}

Result<Value> Join(sqlite3*, const Arguments& arguments) {
    return Value(arguments.Text("first") + arguments.Text("second") + arguments.Text("third"));
}

constexpr Parameter kKind[] = {{"kind", Type::kText, nullptr, ""}};
constexpr Parameter kLength[] = {{"length", Type::kInterval, nullptr, ""}};
constexpr Parameter kUpTo[] = {{"up_to", Type::kBigint, nullptr, ""}};
constexpr Parameter kDryRun[] = {{"dry_run", Type::kBool, "true", ""},
                                 {"label", Type::kText, "NULL", ""}};
constexpr Parameter kThree[] = {{"first", Type::kText, nullptr, ""},
                                {"second", Type::kText, "b", "", "B"},
                                {"third", Type::kText, "c", ""}};
constexpr Parameter kEcho[] = {
    {"b", Type::kBool, "NULL", ""},         {"i", Type::kInt, "NULL", ""},
    {"g", Type::kBigint, "NULL", ""},       {"f", Type::kFloat8, "NULL", ""},
    {"t", Type::kText, "NULL", ""},         {"j", Type::kJson, "NULL", ""},
    {"at", Type::kTimestamp, "NULL", ""},   {"d", Type::kInterval, "NULL", ""},
    {"r", Type::kRegclass, "NULL", ""},     {"ta", Type::kTextArray, "NULL", ""},
    {"ia", Type::kIntArray, "NULL", ""},    {"ba", Type::kBigintArray, "NULL", ""},
    {"fa", Type::kFloat8Array, "NULL", ""},
};
constexpr Parameter kDefaults[] = {
    {"b", Type::kBool, "true", ""},     {"i", Type::kInt, "3", ""},
    {"f", Type::kFloat8, "0.5", ""},    {"d", Type::kInterval, "2 s", ""},
    {"t", Type::kText, "pg", "", "sl"}, {"n", Type::kText, "NULL", ""},
};
constexpr Column kNumber[] = {{"number", Type::kBigint, ""}};
constexpr Column kEchoColumns[] = {
    {"o_b", Type::kBool, ""},         {"o_i", Type::kInt, ""},
    {"o_g", Type::kBigint, ""},       {"o_f", Type::kFloat8, ""},
    {"o_t", Type::kText, ""},         {"o_j", Type::kJson, ""},
    {"o_at", Type::kTimestamp, ""},   {"o_d", Type::kInterval, ""},
    {"o_r", Type::kRegclass, ""},     {"o_ta", Type::kTextArray, ""},
    {"o_ia", Type::kIntArray, ""},    {"o_ba", Type::kBigintArray, ""},
    {"o_fa", Type::kFloat8Array, ""},
};
constexpr Column kDefaultColumns[] = {
    {"o_b", Type::kBool, ""},     {"o_i", Type::kInt, ""},  {"o_f", Type::kFloat8, ""},
    {"o_d", Type::kInterval, ""}, {"o_t", Type::kText, ""}, {"o_n", Type::kText, ""},
};

constexpr TableFunction Call(std::string_view name, CallKind kind, Effect effect,
                             std::span<const Parameter> parameters, std::span<const Column> columns,
                             Type returns = Type::kVoid) {
    return {.name = name,
            .topic = "test",
            .kind = kind,
            .hosts = Hosts::kSqlite,
            .effect = effect,
            .doc = "",
            .since = "",
            .parameters = parameters,
            .columns = columns,
            .returns = returns};
}

constexpr CallKind kScalar = CallKind::kScalar;
constexpr CallKind kRows = CallKind::kFunction;
const TableFunction kCalls[] = {
    Call("t_throw", kScalar, Effect::kReads, kKind, {}, Type::kBigint),
    Call("t_throw_rows", kRows, Effect::kReads, kKind, kNumber),
    Call("t_live", kScalar, Effect::kReads, {}, {}, Type::kBigint),
    Call("t_work", kScalar, Effect::kReads, kLength, {}, Type::kBigint),
    Call("t_echo", kRows, Effect::kPure, kEcho, kEchoColumns),
    Call("t_defaults", kRows, Effect::kReads, kDefaults, kDefaultColumns),
    Call("t_count", kRows, Effect::kReads, kUpTo, kNumber),
    Call("t_act_rows", kRows, Effect::kActs, kDryRun, kNumber),
    Call("t_act", kScalar, Effect::kActs, {}, {}, Type::kBigint),
    Call("t_actions", kScalar, Effect::kReads, {}, {}, Type::kBigint),
    Call("t_join", kScalar, Effect::kPure, kThree, {}, Type::kText),
};

constexpr Body kBodies[] = {
    {.call = "t_throw", .value = ThrowScalar}, {.call = "t_throw_rows", .rows = ThrowRows},
    {.call = "t_live", .value = LiveObjects},  {.call = "t_work", .value = Work},
    {.call = "t_echo", .rows = EchoRows},      {.call = "t_defaults", .rows = EchoRows},
    {.call = "t_count", .rows = CountRows},    {.call = "t_act_rows", .rows = ActRows},
    {.call = "t_act", .value = ActScalar},     {.call = "t_actions", .value = Actions},
    {.call = "t_join", .value = Join},
};

int Load(sqlite3* db) {
    std::vector<const TableFunction*> calls;
    for (const TableFunction& call : kCalls) {
        calls.push_back(&call);
    }
    RegisterCalls(db, calls, kBodies);
    return SQLITE_OK;
}

}  // namespace

}  // namespace upkeep::sqlite

extern "C" __attribute__((visibility("default"))) int sqlite3_upkeepguards_init(
    sqlite3* db, char** message, const sqlite3_api_routines* api) {
    SQLITE_EXTENSION_INIT2(api);
    *message = nullptr;
    return upkeep::sqlite::EnterVtab(message, [=] { return upkeep::sqlite::Load(db); });
}
