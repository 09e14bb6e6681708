// SPDX-License-Identifier: PostgreSQL
#include "pool_reports.h"

#include <cstring>
#include <new>

#include "guard.h"
#include "pg.h"

extern "C" {
#include "catalog/pg_authid.h"
#include "storage/lwlock.h"
#include "utils/acl.h"
}

namespace upkeep::pg {

namespace {

using sessions::PoolRecord;

PoolRecord* places = nullptr;
LWLock* lock = nullptr;

void NoticeNotKept() {
    CallHostVoid([] {
        ereport(NOTICE, (errmsg("reports of pools are not kept: upkeep is not preloaded"),
                         errhint("Add upkeep to shared_preload_libraries (keep what is there) and "
                                 "restart the server.")));
    });
}

bool MaySee(Oid role) {
    return CallHost([=] {
        return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
               has_privs_of_role(GetUserId(), role);
    });
}

}  // namespace

size_t PoolReportsBytes() {
    return sizeof(PoolRecord) * sessions::kPoolPlaces;
}

void AttachPoolReports(void* block, bool found) {
    places = static_cast<PoolRecord*>(block);
    lock = &GetNamedLWLockTranche(kPoolsLock)->lock;
    for (size_t i = 0; i < sessions::kPoolPlaces && !found; ++i) {
        new (places + i) PoolRecord{};
    }
}

bool KeepsPoolReports() {
    return places != nullptr;
}

void KeepPoolReport(const PoolRecord& record) {
    if (places == nullptr) {
        NoticeNotKept();
        return;
    }
    PoolRecord own = record;
    own.database = MyDatabaseId;
    own.user = GetSessionUserId();
    own.reported_us = GetCurrentTimestamp() + kPostgresEpochUs;
    sessions::SetName(&own.application_name, application_name != nullptr ? application_name : "");
    const PoolRecord* made = &own;
    CallHostVoid([made] {
        LWLockAcquire(lock, LW_EXCLUSIVE);
        sessions::PoolBook({places, sessions::kPoolPlaces}).Put(*made);
        LWLockRelease(lock);
    });
}

std::vector<PoolRecord> VisiblePools() {
    std::vector<PoolRecord> pools(places == nullptr ? 0 : sessions::kPoolPlaces);
    if (pools.empty()) {
        return pools;
    }
    PoolRecord* copy = pools.data();
    CallHostVoid([copy] {
        LWLockAcquire(lock, LW_SHARED);
        std::memcpy(static_cast<void*>(copy), places, PoolReportsBytes());
        LWLockRelease(lock);
    });
    std::erase_if(pools, [](const PoolRecord& pool) {
        return pool.reported_us == 0 || pool.database != MyDatabaseId || !MaySee(pool.user);
    });
    return pools;
}

std::vector<PoolRecord> VisiblePoolsOrNotice() {
    if (places == nullptr) {
        NoticeNotKept();
    }
    return VisiblePools();
}

}  // namespace upkeep::pg
