// SPDX-License-Identifier: PostgreSQL
#include "tracer.h"

#include <set>
#include <utility>

#include "statement_samples.h"

namespace upkeep::sqlite {

namespace {

constexpr size_t kMostEntries = 256;  // beyond, those of statements that do not run go

/// Entries of statements that are gone or do not run. Under the tracer's hold.
void DropIdle(Tracer& tracer) {
    std::set<sqlite3_stmt*> running;
    for (sqlite3_stmt* stmt = sqlite3_next_stmt(tracer.db, nullptr); stmt != nullptr;
         stmt = sqlite3_next_stmt(tracer.db, stmt)) {
        if (sqlite3_stmt_busy(stmt) != 0) {
            running.insert(stmt);
        }
    }
    for (auto it = tracer.entries.begin(); it != tracer.entries.end();) {
        if (running.count(it->first) != 0 && it->second.is_open) {
            ++it;
            continue;
        }
        tracer.open -= it->second.is_open ? 1 : 0;
        StoreBatch(tracer, it->second);
        it = tracer.entries.erase(it);
    }
}

}  // namespace

void StoreBatches(Tracer& tracer) {
    const Holding holding(tracer.hold);
    for (auto& [stmt, entry] : tracer.entries) {
        StoreBatch(tracer, entry);
    }
}

TracedStatement& MakeEntry(Tracer& tracer, sqlite3_stmt* stmt, const char* sql) {
    std::string normalized;
    TracedStatement made = Describe(stmt, sql, &normalized);
    made.sample_resets = CaptureOf(tracer).sample_resets.load(std::memory_order_relaxed);
    capture::TextTable& texts = CaptureOf(tracer).store().texts();
    if (!made.is_own && !texts.Knows(tracer.text_cache, tracer.database, made.fingerprint)) {
        texts.Keep(tracer.database, made.fingerprint, normalized);
    }
    if (!made.is_own) {
        NoteSample(CaptureOf(tracer), tracer.database, made.fingerprint, sql);
    }
    const Holding holding(tracer.hold);
    const auto known = tracer.entries.find(stmt);
    if (known != tracer.entries.end()) {
        tracer.open -= known->second.is_open ? 1 : 0;  // its end was not shown
        StoreBatch(tracer, known->second);
    } else if (tracer.entries.size() >= kMostEntries) {
        DropIdle(tracer);
    }
    TracedStatement& entry = tracer.entries.insert_or_assign(stmt, std::move(made)).first->second;
    tracer.last_stmt = stmt;
    tracer.last = &entry;
    return entry;
}

void ForgetEntries(Tracer& tracer) {
    const Holding holding(tracer.hold);
    tracer.entries.clear();
    tracer.last_stmt = nullptr;
    tracer.open = 0;
}

}  // namespace upkeep::sqlite
