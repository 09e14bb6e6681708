// SPDX-License-Identifier: PostgreSQL
#include "upkeep/health/pool_evidence.h"

namespace upkeep::health {

std::vector<Observation> ObservePools(std::span<const sessions::PoolRecord> pools,
                                      std::optional<int64_t> room, int64_t now_us) {
    const sessions::PoolSums sums = sessions::SumPools(pools, now_us);
    std::vector<Observation> seen;
    if (sums.pools == 0 && sums.stale == 0) {
        return seen;
    }
    const std::string silent = std::to_string(sums.stale) + " have been silent for " +
                               std::to_string(sessions::kPoolStaleUs / 60'000'000) + " minutes";
    Observation& metrics = seen.emplace_back();
    metrics.code = "pool_metrics";
    metrics.word = sums.pools > 0 ? "reported" : "silent";
    metrics.evidence = std::to_string(sums.pools) + " pools report, " + silent;
    if (sums.pools == 0) {
        return seen;
    }
    Observation& size = seen.emplace_back();
    size.code = "pool_size";
    size.word = room && sums.size > *room ? "exceeds" : sums.waiting > 0 ? "exhausted" : "fits";
    size.evidence = std::to_string(sums.pools) + " pools are set to " + std::to_string(sums.size) +
                    " connections: " + std::to_string(sums.checked_out) + " checked out, " +
                    std::to_string(sums.overflow) + " of them in overflow, " +
                    std::to_string(sums.waiting) + " requests waiting, " +
                    std::to_string(sums.timeouts) + " timeouts so far";
    if (room) {
        size.evidence += "; ordinary roles may have " + std::to_string(*room);
    }
    return seen;
}

}  // namespace upkeep::health
