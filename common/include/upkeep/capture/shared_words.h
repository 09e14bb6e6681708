// Atomic access to plain words in memory that many processes and threads share, and a lock-free
// list of free items over it. The memory is handed in by the host (PostgreSQL: the main shared
// memory segment; SQLite: process heap) and holds trivially copyable structs, offsets and indexes,
// never pointers: it may be mapped at another address in each process.
//
// Ordering: counters are relaxed. What publishes other words is a release store or exchange, what
// finds them an acquire load; each such place says so.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace upkeep::capture {

static_assert(std::atomic_ref<uint64_t>::is_always_lock_free);
static_assert(std::atomic_ref<uint32_t>::is_always_lock_free);

template <typename T>
T Get(const T& word, std::memory_order order = std::memory_order_relaxed) {
    return std::atomic_ref<T>(const_cast<T&>(word)).load(order);  // NOLINT: loads do not write
}
template <typename T>
void Put(T& word, std::type_identity_t<T> value,
         std::memory_order order = std::memory_order_relaxed) {
    std::atomic_ref<T>(word).store(value, order);
}
/// Adds; nothing is written for zero, so that a counter that never moves costs one test.
template <typename T>
void Bump(T& word, std::type_identity_t<T> by) {
    if (by != 0) {
        std::atomic_ref<T>(word).fetch_add(by, std::memory_order_relaxed);
    }
}
template <typename T>
bool Swap(T& word, T& expected, std::type_identity_t<T> desired, std::memory_order order) {
    return std::atomic_ref<T>(word).compare_exchange_strong(expected, desired, order,
                                                            std::memory_order_acquire);
}
inline void Lower(uint64_t& word, uint64_t value) {
    uint64_t seen = Get(word);
    while (value < seen && !Swap(word, seen, value, std::memory_order_relaxed)) {
    }
}
inline void Raise(uint64_t& word, uint64_t value) {
    uint64_t seen = Get(word);
    while (value > seen && !Swap(word, seen, value, std::memory_order_relaxed)) {
    }
}

/// Bytes in shared memory as whole 32-bit words, copied word by word: a reader that meets a writer
/// gets a mixture, which it finds out by the version word beside it, and no undefined behaviour.
template <size_t kBytes>
struct SharedText {
    static_assert(kBytes % 4 == 0);
    uint32_t bytes = 0;
    uint32_t words[kBytes / 4] = {};

    static constexpr size_t Room() { return kBytes; }

    /// Keeps the first Room() bytes; the host cuts at a character before.
    void Write(std::string_view text) {
        text = text.substr(0, kBytes);
        Put(bytes, static_cast<uint32_t>(text.size()));
        for (size_t i = 0; i * 4 < text.size(); ++i) {
            uint32_t word = 0;
            std::memcpy(&word, text.data() + i * 4, std::min<size_t>(4, text.size() - i * 4));
            Put(words[i], word);
        }
    }
    std::string Read() const {
        std::string text(std::min<size_t>(Get(bytes), kBytes), '\0');
        ReadInto(text);
        return text;
    }
    /// As much as `out` holds, without allocating. Returns how much that is.
    size_t ReadInto(std::span<char> out) const {
        const size_t size = std::min<size_t>({Get(bytes), kBytes, out.size()});
        for (size_t i = 0; i * 4 < size; ++i) {
            const uint32_t word = Get(words[i]);
            std::memcpy(out.data() + i * 4, &word, std::min<size_t>(4, size - i * 4));
        }
        return size;
    }
    bool Is(std::string_view text) const {
        bool is = Get(bytes) == text.size() && text.size() <= kBytes;
        for (size_t i = 0; is && i * 4 < text.size(); ++i) {
            const uint32_t word = Get(words[i]);
            is = std::memcmp(&word, text.data() + i * 4,
                             std::min<size_t>(4, text.size() - i * 4)) == 0;
        }
        return is;
    }
};

/// Stack of free items of one array (Treiber); the head carries a tag against A-B-A. An item's link
/// is its first 32-bit word, which belongs to the list only while the item is free.
struct FreeListHead {
    uint64_t word = 0;  // tag << 32 | (index + 1); index part 0: empty
};

class FreeList {
  public:
    FreeList(FreeListHead* head, void* items, size_t stride)
        : head_(head), items_(static_cast<char*>(items)), stride_(stride) {}

    void Push(uint32_t index) {
        uint64_t seen = Get(head_->word, std::memory_order_acquire);
        do {
            Put(Link(index), static_cast<uint32_t>(seen));
        } while (!Swap(head_->word, seen, NextTag(seen) | (index + 1), std::memory_order_acq_rel));
    }

    static constexpr uint32_t kNone = UINT32_MAX;

    /// An item that is now the caller's alone, or kNone.
    uint32_t Pop() {
        uint64_t seen = Get(head_->word, std::memory_order_acquire);
        while (static_cast<uint32_t>(seen) != 0) {
            const uint32_t index = static_cast<uint32_t>(seen) - 1;
            // May be stale if somebody was faster; then the tag has moved and the swap fails.
            const uint32_t next = Get(Link(index));
            if (Swap(head_->word, seen, NextTag(seen) | next, std::memory_order_acq_rel)) {
                return index;
            }
        }
        return kNone;
    }

  private:
    static uint64_t NextTag(uint64_t word) { return ((word >> 32) + 1) << 32; }
    uint32_t& Link(uint32_t index) {
        return *reinterpret_cast<uint32_t*>(items_ + stride_ * index);
    }

    FreeListHead* head_;
    char* items_;
    size_t stride_;
};

/// 64-bit finaliser (a bijection that spreads every bit); for keys made of several fields.
constexpr uint64_t Mix(uint64_t value) {
    value = (value ^ (value >> 32)) * 0x9FB21C651E98DF25ULL;
    value = (value ^ (value >> 29)) * 0xD6E8FEB86659FD93ULL;
    return value ^ (value >> 32);
}

}  // namespace upkeep::capture
