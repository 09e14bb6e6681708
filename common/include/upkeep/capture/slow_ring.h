// The last slow statements: a ring of fixed-size records in shared memory. A writer takes the next
// ticket and marks the record by an odd version word while it writes; a writer that finds another
// one in its record (the ring went round under it) drops its own and counts that. Readers copy and
// keep what had the same even version before and after.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <vector>

#include "upkeep/capture/statement_table.h"

namespace upkeep::capture {

struct SlowFields {
    int64_t ended_us = 0;  // since 1970 UTC; 0: nothing is in the record
    uint64_t duration_ns = 0;
    int64_t fingerprint = 0;
    uint64_t rows = 0;
    uint64_t hit_blocks = 0;
    uint64_t read_blocks = 0;
    uint32_t database = 0;
    uint32_t user = 0;
    uint32_t endpoint = 0;
    int32_t pid = 0;
};

/// Everything that is kept of one slow statement.
struct SlowStatement {
    SlowFields fields;
    std::string application_name;
    std::string client_addr;
    std::string error_code;  // SQLSTATE or result code; empty: none
    std::string wait_event;
    std::string query;  // its head; empty: the text of its fingerprint
    std::string parameters;
    std::string plan;  // JSON, complete; empty: none
};

inline constexpr size_t kPlanRoom = 6016;  // bytes

struct SlowRecord {
    uint64_t version = 0;  // odd: being written; it only grows
    uint64_t words[sizeof(SlowFields) / 8] = {};
    SharedText<64> application_name;
    SharedText<48> client_addr;
    SharedText<24> error_code;  // SQLITE_CONSTRAINT
    SharedText<64> wait_event;
    SharedText<1024> query;
    SharedText<768> parameters;
    SharedText<kPlanRoom> plan;
};
static_assert(sizeof(SlowFields) % 8 == 0 && std::is_trivially_copyable_v<SlowFields>);
static_assert(std::is_trivially_copyable_v<SlowRecord> && sizeof(SlowRecord) <= 8192);

struct SlowHeader {
    uint64_t next = 0;
    uint64_t dropped = 0;
    uint64_t plans_too_big = 0;
    uint32_t capacity = 0;
    uint32_t reserved = 0;
};

class SlowRing {
  public:
    SlowRing(SlowHeader* header, SlowRecord* records) : header_(header), records_(records) {}

    void Format(uint32_t capacity);
    /// Texts are cut to what the record holds; a plan that does not fit as a whole is replaced by
    /// a JSON object that says so.
    void Add(const SlowStatement& statement);
    /// Newest first.
    std::vector<SlowStatement> Read() const;
    /// Tickets that were given so far; the records of the last `capacity` may still be there.
    uint64_t Tickets() const { return Get(header_->next, std::memory_order_acquire); }
    uint32_t capacity() const { return header_->capacity; }
    /// The statement of one ticket; none: nothing is there, or another writes just now.
    std::optional<SlowStatement> ReadTicket(uint64_t ticket) const;
    /// Takes this database's records out, oldest first: a record is in the ring or in what is
    /// returned, never both.
    std::vector<SlowStatement> Take(uint32_t database);
    void Reset();
    uint64_t Dropped() const { return Get(header_->dropped); }

  private:
    static SlowStatement Copy(const SlowRecord& record);

    SlowHeader* header_;
    SlowRecord* records_;
};

}  // namespace upkeep::capture
