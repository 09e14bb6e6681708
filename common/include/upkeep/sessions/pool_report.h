// What applications say about their own connection pools: only they can know it.
//
//   report_pool(…) -> ReadPoolReport -> PoolBook (the host's memory) -> PoolRows -> pools
//
// A pool belongs to one process of an application; who reports gives each a name of its own.
// Not for: what a pool should be like (pool.h).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "upkeep/base/result.h"
#include "upkeep/base/table_function.h"

namespace upkeep::sessions {

/// One pool, as plain data that may lie in shared memory. Texts end with a zero byte.
struct PoolRecord {
    static constexpr size_t kNameBytes = 64;

    std::array<char, kNameBytes> pool{};
    std::array<char, kNameBytes> application_name{};
    uint32_t database = 0;  // numbers of the host, 0 where it has none
    uint32_t user = 0;
    int32_t size = 0;         // connections that it keeps when it has them
    int32_t checked_out = 0;  // in use, those of overflow included
    int32_t overflow = 0;     // open beyond size
    int32_t waiting = 0;
    int64_t timeouts = 0;     // since the pool was made
    double wait_ms = 0;       // likewise
    int64_t reported_us = 0;  // since 1970 UTC; 0: the place is free

    /// Of its size, those not in use. A pool opens them when they are wanted first.
    int32_t idle() const { return size - (checked_out - overflow); }
};
static_assert(std::is_trivially_copyable_v<PoolRecord>);

/// Copies what fits, up to the end of a character.
void SetName(std::array<char, PoolRecord::kNameBytes>* name, std::string_view text);

/// The arguments of report_pool, checked; without application, database, user and time.
/// Errors: kInvalidArgument; then nothing is to change.
Result<PoolRecord> ReadPoolReport(const Arguments& arguments);

/// The places for pools in the host's memory. Not locked here. Full: the pool that has not been
/// heard of for longest gives way; who has a quarter of the places already loses his own first, so
/// that nobody drives the others out.
class PoolBook {
  public:
    explicit PoolBook(std::span<PoolRecord> places) : places_(places) {}

    /// Takes the place of the same pool (database, user, application, name), or another.
    void Put(const PoolRecord& record);

  private:
    std::span<PoolRecord> places_;
};

inline constexpr size_t kPoolPlaces = 1000;
/// A pool that has been silent for so long is not shown any more: its process is gone.
inline constexpr int64_t kPoolForgottenUs = 24 * 3600 * int64_t{1'000'000};
/// And one that has been silent for so long is not what the pool is like now.
inline constexpr int64_t kPoolStaleUs = 10 * 60 * int64_t{1'000'000};

/// Leaves out forgotten ones; sorted by application, name.
std::vector<PoolRecord> PoolsToShow(std::vector<PoolRecord> pools, int64_t now_us);
/// The rows of `pools`.
void PoolRows(std::vector<PoolRecord> pools, int64_t now_us, RowSink& rows);

/// Sums over the pools that reported lately.
struct PoolSums {
    int64_t pools = 0;
    int64_t stale = 0;  // not summed
    int64_t size = 0;
    int64_t checked_out = 0;
    int64_t overflow = 0;
    int64_t waiting = 0;
    int64_t timeouts = 0;
    double wait_ms = 0;
};
PoolSums SumPools(std::span<const PoolRecord> pools, int64_t now_us);

}  // namespace upkeep::sessions
