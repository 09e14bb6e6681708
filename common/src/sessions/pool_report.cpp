// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/pool_report.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>

namespace upkeep::sessions {

namespace {

constexpr int64_t kMostConnections = 1'000'000;

Error OutOfRange(const std::string& name, const char* least, const char* hint) {
    return Error(Code::kInvalidArgument, name + " must be between " + least + " and 1000000", hint);
}

Result<void> CheckName(const std::string& name) {
    if (name.empty() || name.size() >= PoolRecord::kNameBytes) {
        return Error(Code::kInvalidArgument, "pool must be a name of 1 to 63 bytes",
                     "give each process's pool a short name of its own, for example web:4711");
    }
    return {};
}

Result<void> CheckCounts(const Arguments& arguments) {
    const int64_t size = arguments.Integer("size");
    if (size < 1 || size > kMostConnections) {
        return OutOfRange("size", "1",
                          "give the pool's configured size; a pool without one (NullPool, no "
                          "limit) has nothing to report");
    }
    for (const char* name : {"checked_out", "overflow", "waiting"}) {
        const int64_t number = arguments.Integer(name);
        if (number < 0 || number > kMostConnections) {
            return OutOfRange(name, "0",
                              "count connections; SQLAlchemy's overflow() is negative until the "
                              "pool has been full: report 0 then");
        }
    }
    const int64_t checked_out = arguments.Integer("checked_out");
    const int64_t overflow = arguments.Integer("overflow");
    if (overflow > checked_out) {
        return Error(Code::kInvalidArgument, "overflow must not exceed checked_out",
                     "connections in overflow are in use: checked_out counts them too");
    }
    if (checked_out - overflow > size) {
        return Error(Code::kInvalidArgument, "checked_out must not exceed size plus overflow",
                     "what is in use beyond the pool's size is its overflow");
    }
    return {};
}

Result<void> CheckSums(const Arguments& arguments) {
    if (arguments.Integer("timeouts") < 0) {
        return Error(Code::kInvalidArgument, "timeouts must not be negative",
                     "count the checkouts that failed since the pool was made");
    }
    const double wait_ms = arguments.Float("wait_ms");
    if (!std::isfinite(wait_ms) || wait_ms < 0) {
        return Error(Code::kInvalidArgument, "wait_ms must be a number of 0 or more",
                     "add up the milliseconds that checkouts waited since the pool was made");
    }
    return {};
}

/// Which pool it is, beside its numbers.
auto KeyOf(const PoolRecord& record) {
    return std::tie(record.database, record.user, record.application_name, record.pool);
}

}  // namespace

void SetName(std::array<char, PoolRecord::kNameBytes>* name, std::string_view text) {
    size_t bytes = std::min(text.size(), PoolRecord::kNameBytes - 1);
    while (bytes > 0 && bytes < text.size() && (text[bytes] & 0xC0) == 0x80) {
        --bytes;
    }
    name->fill('\0');
    std::memcpy(name->data(), text.data(), bytes);
}

Result<PoolRecord> ReadPoolReport(const Arguments& arguments) {
    const std::string& pool = arguments.Text("pool");
    for (const Result<void>& checked :
         {CheckName(pool), CheckCounts(arguments), CheckSums(arguments)}) {
        if (!checked.ok()) {
            return checked.error();
        }
    }
    PoolRecord record;
    SetName(&record.pool, pool);
    record.size = static_cast<int32_t>(arguments.Integer("size"));
    record.checked_out = static_cast<int32_t>(arguments.Integer("checked_out"));
    record.overflow = static_cast<int32_t>(arguments.Integer("overflow"));
    record.waiting = static_cast<int32_t>(arguments.Integer("waiting"));
    record.timeouts = arguments.Integer("timeouts");
    record.wait_ms = arguments.Float("wait_ms");
    return record;
}

void PoolBook::Put(const PoolRecord& record) {
    size_t own = 0;
    PoolRecord* oldest = nullptr;
    PoolRecord* oldest_own = nullptr;
    for (PoolRecord& place : places_) {
        if (place.reported_us != 0 && KeyOf(place) == KeyOf(record)) {
            place = record;
            return;
        }
        if (oldest == nullptr || place.reported_us < oldest->reported_us) {
            oldest = &place;
        }
        if (place.reported_us != 0 && place.user == record.user) {
            ++own;
            if (oldest_own == nullptr || place.reported_us < oldest_own->reported_us) {
                oldest_own = &place;
            }
        }
    }
    const bool has_share = own > 0 && own * 4 >= places_.size();
    const bool is_full = oldest != nullptr && oldest->reported_us != 0;
    PoolRecord* place = is_full && has_share ? oldest_own : oldest;
    if (place != nullptr) {
        *place = record;
    }
}

std::vector<PoolRecord> PoolsToShow(std::vector<PoolRecord> pools, int64_t now_us) {
    std::erase_if(pools, [&](const PoolRecord& pool) {
        return pool.reported_us == 0 || now_us - pool.reported_us > kPoolForgottenUs;
    });
    std::sort(pools.begin(), pools.end(), [](const PoolRecord& a, const PoolRecord& b) {
        return std::tie(a.application_name, a.pool, a.user) <
               std::tie(b.application_name, b.pool, b.user);
    });
    return pools;
}

void PoolRows(std::vector<PoolRecord> pools, int64_t now_us, RowSink& rows) {
    for (const PoolRecord& pool : PoolsToShow(std::move(pools), now_us)) {
        rows.Add({std::string(pool.pool.data()), std::string(pool.application_name.data()),
                  int64_t{pool.size}, int64_t{pool.idle()}, int64_t{pool.checked_out},
                  int64_t{pool.overflow}, int64_t{pool.waiting}, pool.timeouts, pool.wait_ms,
                  Timestamp{pool.reported_us}});
    }
}

PoolSums SumPools(std::span<const PoolRecord> pools, int64_t now_us) {
    PoolSums sums;
    for (const PoolRecord& pool : pools) {
        if (pool.reported_us == 0 || now_us - pool.reported_us > kPoolForgottenUs) {
            continue;
        }
        if (now_us - pool.reported_us > kPoolStaleUs) {
            ++sums.stale;
            continue;
        }
        ++sums.pools;
        sums.size += pool.size;
        sums.checked_out += pool.checked_out;
        sums.overflow += pool.overflow;
        sums.waiting += pool.waiting;
        sums.timeouts += pool.timeouts;
        sums.wait_ms += pool.wait_ms;
    }
    return sums;
}

}  // namespace upkeep::sessions
