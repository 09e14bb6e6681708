// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/table_function.h"

#include <algorithm>

#include <charconv>

#include "calls.h"

namespace upkeep {

namespace {

[[noreturn]] void ThrowUnknown(const TableFunction& call, std::string_view parameter) {
    throw Error(Code::kInternal,
                std::string(call.name) + " has no parameter " + std::string(parameter));
}

}  // namespace

Arguments::Arguments(const TableFunction& call, std::vector<Value> values)
    : call_(call), values_(std::move(values)) {
    if (values_.size() != call_.parameters.size()) {
        throw Error(Code::kInternal, "wrong number of arguments for " + std::string(call.name));
    }
}

const Value& Arguments::operator[](std::string_view parameter) const {
    for (size_t i = 0; i < call_.parameters.size(); ++i) {
        if (call_.parameters[i].name == parameter) {
            return values_[i];
        }
    }
    ThrowUnknown(call_, parameter);
}

template <typename T>
const T& Arguments::Get(std::string_view parameter) const {
    const Value& value = (*this)[parameter];
    if (const T* held = std::get_if<T>(&value)) {
        return *held;
    }
    if (upkeep::IsNull(value)) {
        const bool has_default = std::any_of(
            call_.parameters.begin(), call_.parameters.end(),
            [&](const Parameter& p) { return p.name == parameter && p.default_value != nullptr; });
        throw Error(Code::kInvalidArgument, std::string(parameter) + " must not be null",
                    has_default ? "give a value, or leave the argument out for its default"
                                : "give a value");
    }
    throw Error(Code::kInternal, "argument " + std::string(parameter) + " has another type");
}

const std::string& Arguments::Text(std::string_view parameter) const {
    return Get<std::string>(parameter);
}
int64_t Arguments::Integer(std::string_view parameter) const {
    return Get<int64_t>(parameter);
}
double Arguments::Float(std::string_view parameter) const {
    return Get<double>(parameter);
}
bool Arguments::Bool(std::string_view parameter) const {
    return Get<bool>(parameter);
}
Timestamp Arguments::Time(std::string_view parameter) const {
    return Get<Timestamp>(parameter);
}
const std::string& Arguments::Sketch(std::string_view parameter) const {
    return Get<Bytes>(parameter).data;
}
const TextArray& Arguments::Texts(std::string_view parameter) const {
    return Get<TextArray>(parameter);
}
const Float8Array& Arguments::Floats(std::string_view parameter) const {
    return Get<Float8Array>(parameter);
}
const BigintArray& Arguments::Integers(std::string_view parameter) const {
    return Get<BigintArray>(parameter);
}

Result<int64_t> ParseInterval(std::string_view text) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    std::string_view unit(end, text.data() + text.size());
    while (!unit.empty() && unit.front() == ' ') {
        unit.remove_prefix(1);
    }
    struct Unit {
        std::string_view name;
        int64_t ms;
    };
    static constexpr Unit kUnits[] = {
        {"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
    for (const Unit& known : kUnits) {
        int64_t ms = 0;
        if (error == std::errc() && unit == known.name &&
            !__builtin_mul_overflow(number, known.ms, &ms)) {
            return ms;
        }
    }
    return Error(Code::kInvalidArgument, "not an interval: " + std::string(text),
                 "write a number and ms, s, min, h or d");
}

Result<Timestamp> TimeOfWord(std::string_view word, Timestamp now) {
    constexpr std::string_view kNow = "now";
    constexpr std::string_view kBefore = "now - ";
    if (word == kNow) {
        return now;
    }
    if (!word.starts_with(kBefore)) {
        return Error(Code::kInvalidArgument, "not a time: " + std::string(word));
    }
    const Result<int64_t> ms = ParseInterval(word.substr(kBefore.size()));
    if (!ms.ok()) {
        return ms.error();
    }
    Timestamp time;
    int64_t us = 0;
    if (__builtin_mul_overflow(ms.value(), int64_t{1000}, &us) ||
        __builtin_sub_overflow(now.unix_us, us, &time.unix_us)) {
        return Error(Code::kInvalidArgument, "not a time: " + std::string(word));
    }
    return time;
}

Result<Value> DefaultValue(const TableFunction& call, const Parameter& parameter, bool sqlite) {
    const char* written = sqlite && parameter.sqlite_default != nullptr ? parameter.sqlite_default
                                                                        : parameter.default_value;
    if (written == nullptr) {
        return Error(Code::kInvalidArgument,
                     std::string(call.name) + " needs the argument " + std::string(parameter.name));
    }
    const std::string_view text = written;
    if (text == "NULL") {
        return Value{};
    }
    switch (parameter.type) {
        case Type::kBool:
            return Value(text == "true");
        case Type::kInt:
        case Type::kBigint:
            return Value(int64_t{std::stoll(std::string(text))});
        case Type::kFloat8:
            return Value(std::stod(std::string(text)));
        case Type::kInterval: {
            Result<int64_t> ms = ParseInterval(text);
            if (!ms.ok()) {
                return ms.error();
            }
            return Value(ms.value());
        }
        default:
            return Value(std::string(text));
    }
}

std::vector<const TableFunction*> AllCalls() {
    std::vector<const TableFunction*> all;
    for (std::span<const TableFunction> topic :
         {BaseCalls(), AdvisorCalls(), CaptureCalls(), SessionsCalls(), WorkflowCalls(),
          HealthCalls(), PublishCalls()}) {
        for (const TableFunction& call : topic) {
            all.push_back(&call);
        }
    }
    return all;
}

const TableFunction* FindCall(std::string_view name) {
    for (const TableFunction* call : AllCalls()) {
        if (call->name == name) {
            return call;
        }
    }
    return nullptr;
}

}  // namespace upkeep
