// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/table_function.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace upkeep {
namespace {

TEST(TableFunctionTest, NamesOfOneCallAreDisjointAndCallsUnique) {
    std::set<std::string_view> calls;
    for (const TableFunction* call : AllCalls()) {
        EXPECT_TRUE(calls.insert(call->name).second) << call->name;
        std::set<std::string_view> names;
        const bool is_value = call->kind == CallKind::kScalar || call->kind == CallKind::kAggregate;
        for (const Parameter& parameter : call->parameters) {
            if (!is_value) {
                EXPECT_TRUE(names.insert(parameter.name).second) << call->name;
            }
        }
        for (const Column& column : call->columns) {
            EXPECT_TRUE(names.insert(column.name).second) << call->name << "." << column.name;
        }
        EXPECT_FALSE(call->doc.empty());
        EXPECT_EQ(is_value, call->columns.empty()) << call->name;
        EXPECT_TRUE(call->kind != CallKind::kAggregate || call->returns != Type::kVoid);
    }
}

TEST(TableFunctionTest, EveryDefaultParses) {
    for (const TableFunction* call : AllCalls()) {
        for (const Parameter& parameter : call->parameters) {
            for (const bool sqlite : {false, true}) {
                const Result<Value> value = DefaultValue(*call, parameter, sqlite);
                EXPECT_EQ(value.ok(), parameter.default_value != nullptr) << parameter.name;
            }
        }
    }
}

TEST(TableFunctionTest, ParsesIntervals) {
    EXPECT_EQ(ParseInterval("30 s").value(), 30000);
    EXPECT_EQ(ParseInterval("10 min").value(), 600000);
    EXPECT_EQ(ParseInterval("24 h").value(), 86400000);
    for (const char* bad :
         {"", "s", "3", "3 parsecs", "-", "9223372036854775807 h", "99999999999999999999 s"}) {
        EXPECT_FALSE(ParseInterval(bad).ok()) << bad;
    }
}

TEST(TableFunctionTest, ArgumentsNameTheParameterThatIsNull) {
    const TableFunction& call = *FindCall("what_if");
    const Arguments arguments(call, {Value(), Value(TextArray{"x"})});
    EXPECT_TRUE(arguments.IsNull("statement"));
    EXPECT_EQ(arguments.Texts("indexes"), TextArray{"x"});
    try {
        arguments.Text("statement");
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::kInvalidArgument);
        EXPECT_EQ(error.message(), "statement must not be null");
        EXPECT_FALSE(error.hint().empty());
    }
    EXPECT_THROW(arguments.Text("nonsense"), Error);
    EXPECT_THROW(Arguments(call, {}), Error);
}

}  // namespace
}  // namespace upkeep
