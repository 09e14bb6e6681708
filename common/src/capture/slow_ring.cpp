// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/slow_ring.h"

#include "upkeep/base/text.h"

namespace upkeep::capture {

namespace {

constexpr size_t kFieldWords = sizeof(SlowFields) / 8;

template <size_t kBytes>
void WriteClipped(SharedText<kBytes>& out, std::string_view text) {
    out.Write(Clip(text, kBytes));
}

}  // namespace

void SlowRing::Format(uint32_t capacity) {
    *header_ = {};
    header_->capacity = capacity;
    for (uint32_t i = 0; i < capacity; ++i) {
        records_[i] = SlowRecord{};
    }
}

void SlowRing::Add(const SlowStatement& statement) {
    if (header_->capacity == 0) {
        return;
    }
    const uint64_t ticket =
        std::atomic_ref<uint64_t>(header_->next).fetch_add(1, std::memory_order_relaxed);
    SlowRecord& record = records_[ticket % header_->capacity];
    uint64_t seen = Get(record.version, std::memory_order_acquire);
    if (seen % 2 != 0 || !Swap(record.version, seen, seen + 1, std::memory_order_acq_rel)) {
        Bump(header_->dropped, 1);
        return;
    }
    std::atomic_thread_fence(std::memory_order_release);  // the odd version before what follows
    uint64_t words[kFieldWords];
    std::memcpy(words, &statement.fields, sizeof(words));
    for (size_t i = 0; i < kFieldWords; ++i) {
        Put(record.words[i], words[i]);
    }
    WriteClipped(record.application_name, statement.application_name);
    WriteClipped(record.client_addr, statement.client_addr);
    WriteClipped(record.error_code, statement.error_code);
    WriteClipped(record.wait_event, statement.wait_event);
    WriteClipped(record.query, statement.query);
    WriteClipped(record.parameters, statement.parameters);
    if (statement.plan.size() <= decltype(record.plan)::Room()) {
        record.plan.Write(statement.plan);
    } else {
        Bump(header_->plans_too_big, 1);
        record.plan.Write("{\"not_kept\": \"the plan has " + std::to_string(statement.plan.size()) +
                          " bytes\"}");
    }
    Put(record.version, seen + 2, std::memory_order_release);
}

SlowStatement SlowRing::Copy(const SlowRecord& record) {
    SlowStatement copy;
    uint64_t words[kFieldWords];
    for (size_t w = 0; w < kFieldWords; ++w) {
        words[w] = Get(record.words[w]);
    }
    std::memcpy(&copy.fields, words, sizeof(words));
    copy.application_name = record.application_name.Read();
    copy.client_addr = record.client_addr.Read();
    copy.error_code = record.error_code.Read();
    copy.wait_event = record.wait_event.Read();
    copy.query = record.query.Read();
    copy.parameters = record.parameters.Read();
    copy.plan = record.plan.Read();
    return copy;
}

std::optional<SlowStatement> SlowRing::ReadTicket(uint64_t ticket) const {
    const SlowRecord& record = records_[ticket % header_->capacity];
    const uint64_t before = Get(record.version, std::memory_order_acquire);
    if (before == 0 || before % 2 != 0) {
        return std::nullopt;
    }
    SlowStatement copy = Copy(record);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (Get(record.version) != before || copy.fields.ended_us == 0) {
        return std::nullopt;
    }
    return copy;
}

std::vector<SlowStatement> SlowRing::Read() const {
    std::vector<SlowStatement> all;
    const uint64_t next = Tickets();
    const uint64_t count = std::min<uint64_t>(next, header_->capacity);
    for (uint64_t i = 1; i <= count; ++i) {
        if (std::optional<SlowStatement> copy = ReadTicket(next - i)) {
            all.push_back(std::move(*copy));
        }
    }
    return all;
}

std::vector<SlowStatement> SlowRing::Take(uint32_t database) {
    std::vector<SlowStatement> all;
    all.reserve(header_->capacity);
    const uint64_t next = Get(header_->next, std::memory_order_acquire);
    for (uint64_t i = 0; i < header_->capacity; ++i) {
        SlowRecord& record = records_[(next + i) % header_->capacity];
        uint64_t seen = Get(record.version, std::memory_order_acquire);
        if (seen == 0 || seen % 2 != 0 || Get(record.words[0]) == 0) {
            continue;
        }
        SlowStatement copy = Copy(record);
        if (copy.fields.database == database &&
            Swap(record.version, seen, seen + 1, std::memory_order_acq_rel)) {
            Put(record.words[0], 0);  // no end time: nothing is in it
            Put(record.version, seen + 2, std::memory_order_release);
            all.push_back(std::move(copy));
        }
    }
    return all;
}

void SlowRing::Reset() {
    for (uint32_t i = 0; i < header_->capacity; ++i) {
        SlowRecord& record = records_[i];
        uint64_t seen = Get(record.version, std::memory_order_acquire);
        if (seen % 2 == 0 && Swap(record.version, seen, seen + 1, std::memory_order_acq_rel)) {
            Put(record.words[0], 0);  // no end time: nothing is in it
            Put(record.version, seen + 2, std::memory_order_release);
        }
    }
}

}  // namespace upkeep::capture
