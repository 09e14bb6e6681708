// A set of candidates, by their numbers: the key of the what-if tree.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace upkeep::advisor {

class IndexSet {
  public:
    explicit IndexSet(size_t capacity) : words_((capacity + 63) / 64) {}

    bool Has(size_t i) const { return (words_[i / 64] >> (i % 64) & 1) != 0; }
    void Add(size_t i) { words_[i / 64] |= uint64_t{1} << (i % 64); }
    void Remove(size_t i) { words_[i / 64] &= ~(uint64_t{1} << (i % 64)); }

    bool IsEmpty() const {
        for (const uint64_t word : words_) {
            if (word != 0) {
                return false;
            }
        }
        return true;
    }
    bool Meets(const IndexSet& other) const {
        for (size_t w = 0; w < words_.size(); ++w) {
            if ((other.words_[w] & words_[w]) != 0) {
                return true;
            }
        }
        return false;
    }
    IndexSet& operator-=(const IndexSet& other) {
        for (size_t w = 0; w < words_.size(); ++w) {
            words_[w] &= ~other.words_[w];
        }
        return *this;
    }
    bool Contains(const IndexSet& other) const {
        for (size_t w = 0; w < words_.size(); ++w) {
            if ((other.words_[w] & ~words_[w]) != 0) {
                return false;
            }
        }
        return true;
    }
    IndexSet& operator|=(const IndexSet& other) {
        for (size_t w = 0; w < words_.size(); ++w) {
            words_[w] |= other.words_[w];
        }
        return *this;
    }
    IndexSet& operator&=(const IndexSet& other) {
        for (size_t w = 0; w < words_.size(); ++w) {
            words_[w] &= other.words_[w];
        }
        return *this;
    }
    friend IndexSet operator&(IndexSet a, const IndexSet& b) { return a &= b; }
    friend bool operator==(const IndexSet&, const IndexSet&) = default;

    /// The members, ascending.
    std::vector<size_t> Members() const {
        std::vector<size_t> members;
        for (size_t w = 0; w < words_.size(); ++w) {
            for (uint64_t rest = words_[w]; rest != 0; rest &= rest - 1) {
                members.push_back(w * 64 + static_cast<size_t>(std::countr_zero(rest)));
            }
        }
        return members;
    }

    /// Source: the multiply-xor step of splitmix64, one round a word.
    struct Hash {
        size_t operator()(const IndexSet& set) const {
            uint64_t hash = 0x9E3779B97F4A7C15;
            for (const uint64_t word : set.words_) {
                hash = (hash ^ word) * 0xBF58476D1CE4E5B9;
                hash ^= hash >> 31;
            }
            return static_cast<size_t>(hash);
        }
    };

  private:
    std::vector<uint64_t> words_;
};

}  // namespace upkeep::advisor
