// Result<T>: a value or an Error, for failures that are foreseen.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "upkeep/base/error.h"

namespace upkeep {

template <typename T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

    bool ok() const { return state_.index() == 0; }
    const Error& error() const { return std::get<1>(state_); }

    const T& value() const& { return std::get<0>(state_); }
    T& value() & { return std::get<0>(state_); }
    T&& value() && { return std::get<0>(std::move(state_)); }

    /// The value, or the error as an exception: for callers whose whole call ends with it.
    T OrThrow() && {
        if (!ok()) {
            throw Error(std::get<1>(std::move(state_)));
        }
        return std::get<0>(std::move(state_));
    }

  private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

    bool ok() const { return !error_.has_value(); }
    const Error& error() const { return *error_; }
    void OrThrow() && {
        if (error_) {
            throw Error(*std::move(error_));
        }
    }

  private:
    std::optional<Error> error_;
};

}  // namespace upkeep
