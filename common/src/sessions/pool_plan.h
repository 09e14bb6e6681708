// What advise_pool works with: what was asked, the plan, and the rows being made.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <string>

#include "upkeep/sessions/pool.h"

namespace upkeep::sessions {

/// What the guide gives an environment. Its numbers are per worker, which is a process: each has a
/// pool of its own. Source: the guide, "Pool Sizing Guidelines" and "Environment Configuration".
struct GuideRow {
    const char* environment;
    int64_t pool_size;
    int64_t max_overflow;
    const char* workers;
};
inline std::string S(int64_t number) {
    return std::to_string(number);
}

struct Asked {
    int64_t processes;
    int64_t threads;
    int64_t replicas;
    const GuideRow* guide;  // nullptr: test
};

/// Everything the rows are made of. Connections unless said.
struct Plan {
    std::optional<int64_t> for_role;  // nullopt: no limit
    int64_t headroom = 0;
    int64_t usable = 0;
    int64_t pools = 0;     // processes x replicas
    int64_t per_pool = 0;  // usable / pools
    int64_t pool_size = 0;
    int64_t max_overflow = 0;
    bool fits = true;         // every pool gets one connection at least
    bool is_limited = false;  // fewer than the threads could use

    int64_t total() const { return pools * (pool_size + max_overflow); }
};

class Rows {
  public:
    explicit Rows(RowSink& sink) : sink_(sink) {}

    void Add(const char* parameter, Value value, Value formula, Value limit, const char* verdict,
             std::string explanation) {
        sink_.Add({std::string(parameter), std::move(value), std::move(formula), std::move(limit),
                   std::string(verdict), std::move(explanation)});
    }

  private:
    RowSink& sink_;
};

/// Evidence: what statements and pools say about the connections in use, and what a pooler would
/// have to be set to.
void MeasuredRows(const Asked& asked, const PoolFacts& facts, const Plan& plan, Rows& rows);

}  // namespace upkeep::sessions
