// A fixed number of records found by key, in shared memory, without locks: the base of the
// statement table, the text table and the names of endpoints.
//
//   index (2 to 4 x capacity words)          records (capacity)
//   [ tag | record + 1 ] ── a key may stand anywhere in the 16 words from its home
//        └───────────────────────────────────▶ state word | hash | score | the table's own fields
//
// State word of a record: generation (32 bits) | doomed | live | pins (24 bits).
//
//   free ── Claim: pop from the free list, fill, one release store ──▶ live, pinned once
//   live ── Pin: compare-and-swap pins + 1, only if live, not doomed and of the wanted generation
//   live ── Unpin: pins - 1
//   live, 0 pins ── TakeAway: one compare-and-swap ──▶ ours alone ── release parts, generation + 1
//   doomed: no new pins; whoever removes the last pin takes it away (reset)
//
// The races, and why they end well:
// * Add against evict. Whoever adds holds a pin; who evicts needs zero pins, in the same word. So
//   what is added always reaches the statement it was meant for, or (generation gone: Pin fails)
//   is put into a new record; never into another statement's.
// * Read against evict or claim. Readers pin too: a record cannot become another one under them.
//   Its counters may move meanwhile, each is one word and never torn.
// * Claim against claim of the same key. Both fill a record, both look through the window for the
//   key before each compare-and-swap of the first empty word; the loser finds the winner's. If a
//   word further up becomes empty in between, both may succeed: two records of one key. Nothing is
//   lost; readers add them up.
// * Claim against evict. A record is published in the index while its claimer still pins it.
// * A stale index word (its record is someone else's by now) is found out by the full key, which is
//   always compared under the pin.
// * A process that dies between two steps: PostgreSQL re-initialises shared memory; a forked child
//   of a SQLite process that inherits a pinned copy can merely not evict that record.
// Nothing here waits for anybody: every loop ends when somebody else has made progress.
//
// Eviction is a clock hand that looks at a few records, takes the one whose work since it was
// last looked at (decayed) is least, and never passes over the whole table.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/capture/shared_words.h"

namespace upkeep::capture {

struct SlotHead {
    uint32_t link = 0;  // of the free list; first word
    uint32_t index_at = 0;
    uint64_t state = 0;
    uint64_t hash = 0;
    uint64_t score = 0;      // eviction only: decayed work
    uint64_t work_seen = 0;  // eviction only: work at the hand's last pass
};

struct SlotMapHeader {
    FreeListHead free;
    uint64_t hand = 0;
    uint64_t evictions = 0;
    uint32_t capacity = 0;
    uint32_t index_size = 0;  // power of two
};

/// Where a record was found; valid for PinExact as long as the generation stands.
struct SlotRef {
    uint32_t record = UINT32_MAX;
    uint32_t generation = 0;
    explicit operator bool() const { return record != UINT32_MAX; }
};

constexpr uint32_t IndexSizeFor(uint32_t capacity) {
    uint32_t size = 64;
    while (size < capacity * 2) {
        size *= 2;
    }
    return size;
}

/// `Table` derives from this and has `void Release(Record&)` (give back what the record owns) and
/// `uint64_t Work(const Record&)` (grows with use). Record's first member is `SlotHead head`.
template <typename Table, typename Record>
class SlotMap {
  public:
    static constexpr uint32_t kWindow = 16;
    static constexpr uint32_t kSample = 8;
    static constexpr uint64_t kStride = 2654435761;  // a prime: visits all, neighbours apart
    static constexpr uint32_t kRounds = 64;  // most of them only where few records are in use

    SlotMap(SlotMapHeader* header, uint64_t* index, Record* records)
        : header_(header), index_(index), records_(records) {
        static_assert(std::is_trivially_copyable_v<Record>);
    }

    void Format(uint32_t capacity) {
        *header_ = {};
        header_->capacity = capacity;
        header_->index_size = IndexSizeFor(capacity);
        std::fill_n(index_, header_->index_size, 0);
        for (uint32_t i = capacity; i-- > 0;) {
            records_[i] = Record{};
            Free().Push(i);
        }
    }

    uint32_t capacity() const { return header_->capacity; }
    uint64_t Evictions() const { return Get(header_->evictions); }
    Record& At(uint32_t record) { return records_[record]; }
    const Record& At(uint32_t record) const { return records_[record]; }

    /// Is there a record that nobody has yet? True only for the moment.
    bool HasFree() const { return static_cast<uint32_t>(Get(header_->free.word)) != 0; }

    /// Pins the record if it still is what `ref` meant.
    bool PinExact(SlotRef ref) {
        if (ref.record >= header_->capacity) {
            return false;
        }
        uint64_t& word = records_[ref.record].head.state;
        uint64_t seen = Get(word, std::memory_order_acquire);
        while (CanPin(seen) && Generation(seen) == ref.generation) {
            if (Swap(word, seen, seen + 1, std::memory_order_acq_rel)) {
                return true;
            }
        }
        return false;
    }

    /// Is it still there? A look, no pin.
    bool Holds(SlotRef ref) const {
        if (ref.record >= header_->capacity) {
            return false;
        }
        const uint64_t seen = Get(records_[ref.record].head.state, std::memory_order_acquire);
        return CanPin(seen) && Generation(seen) == ref.generation;
    }

    /// Pins whatever lives there now.
    SlotRef PinAny(uint32_t record) {
        uint64_t& word = records_[record].head.state;
        uint64_t seen = Get(word, std::memory_order_acquire);
        while (CanPin(seen)) {
            if (Swap(word, seen, seen + 1, std::memory_order_acq_rel)) {
                return {record, Generation(seen)};
            }
        }
        return {};
    }

    void Unpin(SlotRef ref) {
        const uint64_t before = std::atomic_ref<uint64_t>(records_[ref.record].head.state)
                                    .fetch_sub(1, std::memory_order_acq_rel);
        if ((before & (kDoomed | kPins)) == (kDoomed | 1)) {
            TakeAwayAndFree(ref.record);
        }
    }

    /// The record of this key, pinned, or none. `matches(record)` compares the whole key.
    template <typename Matches>
    SlotRef Find(uint64_t hash, Matches matches) {
        for (uint32_t i = 0; i < kWindow; ++i) {
            const SlotRef found =
                Check(Get(Word(hash, i), std::memory_order_acquire), hash, matches);
            if (found) {
                return found;
            }
        }
        return {};
    }

    /// A record for this key, pinned: found, or claimed and filled by `fill(record)`, where need be
    /// in the place of a cold one. None if every record looked at was in use just now.
    template <typename Matches, typename Fill>
    SlotRef FindOrClaim(uint64_t hash, Matches matches, Fill fill) {
        if (const SlotRef found = Find(hash, matches)) {
            return found;
        }
        const uint32_t record = TakeRecord();
        if (record == FreeList::kNone) {
            return {};
        }
        SlotHead& head = records_[record].head;
        const uint32_t generation = Generation(Get(head.state));
        head.hash = hash;
        Put(head.score, 0);
        Put(head.work_seen, 0);
        fill(records_[record]);
        const SlotRef mine{record, generation};
        Put(head.state, uint64_t{generation} << 32 | kLive | 1, std::memory_order_release);
        const SlotRef published = Publish(hash, matches, mine);
        if (published.record != record) {
            Doom(record);
            Unpin(mine);
        }
        return published;
    }

    /// Ends the record as soon as nobody pins it; no one finds it any more.
    void Doom(uint32_t record) {
        uint64_t& word = records_[record].head.state;
        uint64_t seen = Get(word, std::memory_order_acquire);
        while (CanPin(seen) && !Swap(word, seen, seen | kDoomed, std::memory_order_acq_rel)) {
        }
        if ((seen & kLive) != 0 && (seen & kPins) == 0) {
            TakeAwayAndFree(record);
        }
    }
    void DoomAll() {
        for (uint32_t i = 0; i < header_->capacity; ++i) {
            Doom(i);
        }
    }

    /// Frees one cold record. False: none of those looked at could be had.
    bool EvictOne() {
        const uint32_t record = TakeColdest();
        if (record == FreeList::kNone) {
            return false;
        }
        Free().Push(record);
        return true;
    }

  private:
    static constexpr uint64_t kPins = (uint64_t{1} << 24) - 1;
    static constexpr uint64_t kLive = uint64_t{1} << 24;
    static constexpr uint64_t kDoomed = uint64_t{1} << 25;

    static uint32_t Generation(uint64_t state) { return static_cast<uint32_t>(state >> 32); }
    static bool CanPin(uint64_t state) {
        return (state & (kLive | kDoomed)) == kLive && (state & kPins) < kPins;
    }
    FreeList Free() { return FreeList(&header_->free, records_, sizeof(Record)); }
    uint32_t Place(uint64_t hash, uint32_t i) const {
        return static_cast<uint32_t>(hash + i) & (header_->index_size - 1);
    }
    uint64_t& Word(uint64_t hash, uint32_t i) { return index_[Place(hash, i)]; }
    static uint64_t WordFor(uint64_t hash, uint32_t record) {
        return (hash >> 32 << 32) | (record + 1);
    }

    template <typename Matches>
    SlotRef Check(uint64_t word, uint64_t hash, Matches matches) {
        const auto low = static_cast<uint32_t>(word);
        if (low == 0 || low > header_->capacity || (word ^ hash) >> 32 != 0) {
            return {};
        }
        const SlotRef found = PinAny(low - 1);
        if (found && !matches(records_[low - 1])) {
            Unpin(found);
            return {};
        }
        return found;
    }

    template <typename Matches>
    SlotRef Publish(uint64_t hash, Matches matches, SlotRef mine) {
        for (int attempt = 0; attempt < 4; ++attempt) {
            for (uint32_t i = 0; i < kWindow; ++i) {
                uint64_t seen = Get(Word(hash, i), std::memory_order_acquire);
                if (seen == 0 && Swap(Word(hash, i), seen, WordFor(hash, mine.record),
                                      std::memory_order_acq_rel)) {
                    records_[mine.record].head.index_at = Place(hash, i);
                    return mine;
                }
                if (const SlotRef theirs = Check(seen, hash, matches)) {
                    return theirs;
                }
            }
            EvictFromWindow(hash);
        }
        return {};
    }

    /// All 16 words are taken (rare, the index is at most half full): the coldest gives way.
    void EvictFromWindow(uint64_t hash) {
        uint32_t coldest = FreeList::kNone;
        uint64_t least = UINT64_MAX;
        for (uint32_t i = 0; i < kWindow; ++i) {
            const auto low = static_cast<uint32_t>(Get(Word(hash, i), std::memory_order_acquire));
            if (low == 0 || low > header_->capacity) {
                continue;
            }
            const uint64_t state = Get(records_[low - 1].head.state);
            const uint64_t score = (state & kPins) == 0 ? Look(low - 1) : UINT64_MAX;
            if (score < least) {
                least = score;
                coldest = low - 1;
            }
        }
        if (coldest != FreeList::kNone && TakeAway(coldest)) {
            Bump(header_->evictions, 1);
            Free().Push(coldest);
        }
    }

    /// Score of a record after the hand's look at it: 7/8 of what it was and its work since.
    uint64_t Look(uint32_t record) {
        SlotHead& head = records_[record].head;
        const uint64_t work = static_cast<Table*>(this)->Work(records_[record]);
        const uint64_t seen = Get(head.work_seen);
        const uint64_t score = Get(head.score);
        const uint64_t now = score - score / 8 + (work > seen ? work - seen : 0);
        Put(head.work_seen, work);
        Put(head.score, now);
        return now;
    }

    uint32_t TakeRecord() {
        const uint32_t free = Free().Pop();
        return free != FreeList::kNone ? free : TakeColdest();
    }

    uint32_t TakeColdest() {
        for (uint32_t round = 0; round < kRounds; ++round) {
            const uint64_t from = std::atomic_ref<uint64_t>(header_->hand)
                                      .fetch_add(kSample, std::memory_order_relaxed);
            uint32_t coldest = FreeList::kNone;
            uint64_t least = UINT64_MAX;
            for (uint32_t i = 0; i < kSample; ++i) {
                const auto record = static_cast<uint32_t>((from + i) * kStride % header_->capacity);
                const uint64_t state = Get(records_[record].head.state);
                if (!CanPin(state) || (state & kPins) != 0) {
                    continue;
                }
                const uint64_t score = Look(record);
                if (score < least) {
                    least = score;
                    coldest = record;
                }
            }
            if (coldest != FreeList::kNone && TakeAway(coldest)) {
                Bump(header_->evictions, 1);
                return coldest;
            }
        }
        return FreeList::kNone;
    }

    void TakeAwayAndFree(uint32_t record) {
        if (TakeAway(record)) {
            Free().Push(record);
        }
    }

    /// Makes an unpinned live record the caller's alone and strips it. False: somebody uses it.
    bool TakeAway(uint32_t record) {
        Record& taken = records_[record];
        uint64_t seen = Get(taken.head.state, std::memory_order_acquire);
        const uint64_t generation = seen >> 32 << 32;
        if ((seen & kLive) == 0 || (seen & kPins) != 0 ||
            !Swap(taken.head.state, seen, generation, std::memory_order_acq_rel)) {
            return false;
        }
        uint64_t word = WordFor(taken.head.hash, record);
        Swap(index_[taken.head.index_at & (header_->index_size - 1)], word, 0,
             std::memory_order_acq_rel);
        static_cast<Table*>(this)->Release(taken);
        Put(taken.head.state, generation + (uint64_t{1} << 32), std::memory_order_release);
        return true;
    }

    SlotMapHeader* header_;
    uint64_t* index_;
    Record* records_;
};

}  // namespace upkeep::capture
