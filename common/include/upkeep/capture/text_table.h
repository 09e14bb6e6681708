// Statement texts in shared memory of a fixed size, one per (database, user, fingerprint),
// written once. Per user, because nobody is to see another's words: column aliases differ where the
// fingerprint is the same.
// A text is a chain of 256-byte chunks, so nothing fragments. When chunks or records run out, the
// least wanted of a few sampled texts is dropped; its statement stays and shows kNotKept.
// Concurrency: slot_map.h. Readers of counters never come here.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>

#include "upkeep/capture/statement_table.h"

namespace upkeep::capture {

inline constexpr std::string_view kNotKept = "<text not kept>";
inline constexpr size_t kMostTextBytes = 65536;  // what is longer ends with kCut
inline constexpr std::string_view kCut = " /* cut */";

struct TextChunk {
    static constexpr size_t kPayload = 252;
    uint32_t link = 0;  // the next of the chain, or of the free list (index + 1; 0: the last)
    char bytes[kPayload] = {};
};
static_assert(sizeof(TextChunk) == 256 && std::is_trivially_copyable_v<TextChunk>);

struct TextRecord {
    SlotHead head;
    int64_t fingerprint = 0;
    uint32_t database = 0;
    uint32_t first = 0;  // chunk + 1; 0: none
    uint32_t bytes = 0;
    uint32_t user = 0;
    uint64_t touches = 0;
};
static_assert(std::is_trivially_copyable_v<TextRecord>);

struct TextHeader {
    SlotMapHeader slots;
    FreeListHead chunks_free;
    uint64_t not_kept = 0;  // texts for which there was no room
    uint64_t bytes_used = 0;
    uint32_t chunk_count = 0;
    uint32_t reserved = 0;
    uint64_t chunks_used = 0;
};

/// The caller's own memory of which texts are there; one per backend or connection, never shared.
struct TextCache {
    static constexpr uint32_t kEntries = 512;
    struct Entry {
        int64_t fingerprint = 0;
        uint32_t database = 0;
        uint32_t user = 0;
        SlotRef ref;
        uint32_t looks = 0;
    };
    Entry entries[kEntries];
};

class TextTable : public SlotMap<TextTable, TextRecord> {
  public:
    TextTable(TextHeader* header, uint64_t* index, TextRecord* records, TextChunk* chunks)
        : SlotMap(&header->slots, index, records), header_(header), chunks_(chunks) {}

    void Format(uint32_t capacity, uint32_t chunk_count);

    /// Is the text there? Counts as a use of it.
    bool Touch(uint32_t database, int64_t fingerprint, uint32_t user = 0);
    /// The same, mostly answered from the cache; every 64th time it counts as a use.
    bool Knows(TextCache& cache, uint32_t database, int64_t fingerprint, uint32_t user = 0);
    /// Keeps `text` unless it is there already. False: no room; counted in NotKept().
    bool Keep(uint32_t database, int64_t fingerprint, std::string_view text, uint32_t user = 0);
    /// Keeps `text` in the place of what is there. False as Keep().
    bool Replace(uint32_t database, int64_t fingerprint, std::string_view text, uint32_t user = 0);
    /// Forgets it.
    void Drop(uint32_t database, int64_t fingerprint, uint32_t user = 0);
    std::optional<std::string> Read(uint32_t database, int64_t fingerprint, uint32_t user = 0);

    void Foresee(const StatementKey& key);

    /// Would one more text push out another? True only for the moment.
    bool IsFull() const {
        return !HasFree() || Get(header_->chunks_used) * 16 >= uint64_t{header_->chunk_count} * 15;
    }
    uint64_t NotKept() const { return Get(header_->not_kept); }
    uint64_t BytesUsed() const { return Get(header_->bytes_used); }

    void Release(TextRecord& record);
    void AboutToRelease(const TextRecord& record) {
        __builtin_prefetch(&chunks_[record.first > 0 ? record.first - 1 : 0]);
    }
    static uint64_t Work(const TextRecord& record) { return Get(record.touches); }

  private:
    static constexpr uint32_t kLooksPerTouch = 64;
    bool KnowsUncached(TextCache::Entry& entry, uint32_t database, int64_t fingerprint,
                       uint32_t user);
    SlotRef FindText(uint32_t database, int64_t fingerprint, uint32_t user);
    FreeList Chunks() { return FreeList(&header_->chunks_free, chunks_, sizeof(TextChunk)); }
    /// First chunk + 1 of a chain that holds the text, or 0.
    uint32_t MakeChain(std::string_view text);
    void FetchNextChunk() const;
    void FreeChain(uint32_t first);

    TextHeader* header_;
    TextChunk* chunks_;
};

inline bool TextTable::Knows(TextCache& cache, uint32_t database, int64_t fingerprint,
                             uint32_t user) {
    // A fingerprint is a hash already
    TextCache::Entry& entry =
        cache.entries[static_cast<uint64_t>(fingerprint) % TextCache::kEntries];
    if (entry.fingerprint == fingerprint && entry.user == user && entry.database == database &&
        ++entry.looks % kLooksPerTouch != 0 && Holds(entry.ref)) [[likely]] {
        return true;
    }
    return KnowsUncached(entry, database, fingerprint, user);
}

}  // namespace upkeep::capture
