// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/text_table.h"

#include "upkeep/base/text.h"

namespace upkeep::capture {

namespace {

constexpr int kEvictionsForOneText = 300;  // one of 64 kB takes 261 chunks

uint64_t HashOfText(uint32_t database, int64_t fingerprint, uint32_t user) {
    return Mix(static_cast<uint64_t>(fingerprint) ^ Mix((uint64_t{user} << 32 | database) + 1));
}

auto Is(uint32_t database, int64_t fingerprint, uint32_t user) {
    return [=](const TextRecord& record) {
        return record.database == database && record.fingerprint == fingerprint &&
               record.user == user;
    };
}

}  // namespace

void TextTable::Format(uint32_t capacity, uint32_t chunk_count) {
    *header_ = {};
    header_->chunk_count = chunk_count;
    SlotMap::Format(capacity);
    for (uint32_t i = chunk_count; i-- > 0;) {
        chunks_[i].link = 0;
        Chunks().Push(i);
    }
}

SlotRef TextTable::FindText(uint32_t database, int64_t fingerprint, uint32_t user) {
    return Find(HashOfText(database, fingerprint, user), Is(database, fingerprint, user));
}

void TextTable::Foresee(const StatementKey& key) {
    SlotMap::Foresee(HashOfText(key.database, key.fingerprint, key.user));
}

bool TextTable::Touch(uint32_t database, int64_t fingerprint, uint32_t user) {
    const SlotRef found = FindText(database, fingerprint, user);
    if (!found) {
        return false;
    }
    Bump(At(found.record).touches, 1);
    Unpin(found);
    return true;
}

bool TextTable::KnowsUncached(TextCache::Entry& entry, uint32_t database, int64_t fingerprint,
                              uint32_t user) {
    const SlotRef found = FindText(database, fingerprint, user);
    if (!found) {
        return false;
    }
    Bump(At(found.record).touches, 1);
    Unpin(found);
    entry = {.fingerprint = fingerprint, .database = database, .user = user, .ref = found};
    return true;
}

bool TextTable::Keep(uint32_t database, int64_t fingerprint, std::string_view text, uint32_t user) {
    if (Touch(database, fingerprint, user)) {
        return true;
    }
    std::string cut;
    // One that was cut already comes back from a saved file.
    const bool was_cut = text.size() <= kMostTextBytes + kCut.size() && text.ends_with(kCut);
    if (text.size() > kMostTextBytes && !was_cut) {
        cut = std::string(Clip(text, kMostTextBytes)) + std::string(kCut);
        text = cut;
    }
    const uint32_t first = MakeChain(text);
    if (first == 0 && !text.empty()) {
        Bump(header_->not_kept, 1);
        return false;
    }
    bool used = false;
    const SlotRef kept = FindOrClaim(HashOfText(database, fingerprint, user),
                                     Is(database, fingerprint, user), [&](TextRecord& record) {
                                         record.fingerprint = fingerprint;
                                         record.database = database;
                                         record.user = user;
                                         record.first = first;
                                         record.bytes = static_cast<uint32_t>(text.size());
                                         Put(record.touches, 1);
                                         Bump(header_->bytes_used, text.size());
                                         used = true;
                                     });
    if (!used) {  // another was faster, or no record could be had
        FreeChain(first);
    }
    if (!kept) {
        Bump(header_->not_kept, 1);
        return false;
    }
    Unpin(kept);
    return true;
}

void TextTable::Drop(uint32_t database, int64_t fingerprint, uint32_t user) {
    if (const SlotRef old = FindText(database, fingerprint, user)) {
        Doom(old.record);
        Unpin(old);
    }
}

bool TextTable::Replace(uint32_t database, int64_t fingerprint, std::string_view text,
                        uint32_t user) {
    Drop(database, fingerprint, user);
    return Keep(database, fingerprint, text, user);
}

std::optional<std::string> TextTable::Read(uint32_t database, int64_t fingerprint, uint32_t user) {
    const SlotRef found = FindText(database, fingerprint, user);
    if (!found) {
        return std::nullopt;
    }
    struct Unpinner {  // also if the copy runs out of memory
        TextTable* table;
        SlotRef pinned;
        ~Unpinner() { table->Unpin(pinned); }
    } unpin{this, found};
    const TextRecord& record = At(found.record);
    std::string text;
    text.reserve(record.bytes);
    uint32_t next = record.first;
    while (next != 0 && text.size() < record.bytes) {  // pinned: nobody changes the chain
        const TextChunk& chunk = chunks_[next - 1];
        text.append(chunk.bytes, std::min(TextChunk::kPayload, record.bytes - text.size()));
        next = Get(chunk.link);
    }
    return text;
}

void TextTable::Release(TextRecord& record) {
    FreeChain(record.first);
    record.first = 0;
    Bump(header_->bytes_used, uint64_t{0} - record.bytes);
    record.bytes = 0;
}

uint32_t TextTable::MakeChain(std::string_view text) {
    if (text.size() > uint64_t{header_->chunk_count} * TextChunk::kPayload) {
        return 0;  // would push out all others in vain
    }
    uint32_t first = 0;
    int evictions_left = kEvictionsForOneText;
    // From the last piece to the first, so that each new chunk links to the one before.
    size_t end = text.size();
    while (end > 0) {
        const size_t from = (end - 1) / TextChunk::kPayload * TextChunk::kPayload;
        uint32_t chunk = Chunks().Pop();
        while (chunk == FreeList::kNone && evictions_left-- > 0 && EvictOne()) {
            chunk = Chunks().Pop();
        }
        if (chunk == FreeList::kNone) {
            FreeChain(first);
            return 0;
        }
        FetchNextChunk();
        Bump(header_->chunks_used, 1);
        Put(chunks_[chunk].link, first);
        std::memcpy(chunks_[chunk].bytes, text.data() + from, end - from);
        first = chunk + 1;
        end = from;
    }
    return first;
}

/// The chunk that the free list gives next, while this one is being filled.
void TextTable::FetchNextChunk() const {
    const auto next = static_cast<uint32_t>(Get(header_->chunks_free.word));
    if (next != 0 && next <= header_->chunk_count) {
        const auto* bytes = reinterpret_cast<const char*>(&chunks_[next - 1]);
        for (size_t at = 0; at < sizeof(TextChunk); at += 64) {
            __builtin_prefetch(bytes + at, 1);
        }
    }
}

void TextTable::FreeChain(uint32_t first) {
    uint64_t freed = 0;
    for (; first != 0; ++freed) {
        const uint32_t chunk = first - 1;
        first = Get(chunks_[chunk].link);
        Chunks().Push(chunk);
    }
    Bump(header_->chunks_used, uint64_t{0} - freed);
}

}  // namespace upkeep::capture
