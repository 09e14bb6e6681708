// Any bytes load into a small store without a crash; whatever was taken can be read and saved again
// and then loads as a whole. The input is tried as it is, and as the items of sections whose
// checksums are right.
// SPDX-License-Identifier: PostgreSQL
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "../../common/src/capture/saved_format.h"
#include "upkeep/capture/rows.h"
#include "upkeep/capture/saved_file.h"

namespace {

using namespace upkeep::capture;  // NOLINT: one file, one target

constexpr StoreLimits kLimits = {.statements = 8,
                                 .text_bytes = 2048,
                                 .slow_statements = 1,
                                 .endpoints = 2,
                                 .counters = 2,
                                 .findings = 3};

class Block {
  public:
    Block() : words_(Store::BytesNeeded(kLimits) / 8) {}
    Store Fresh() { return Store::Format(words_.data(), kLimits, 1); }

  private:
    std::vector<uint64_t> words_;
};

LoadResult Load(Store& store, std::string_view bytes, size_t piece) {
    Loader loader(store);
    for (; !bytes.empty() && loader.WantsMore();
         bytes.remove_prefix(std::min(piece, bytes.size()))) {
        loader.Feed(bytes.substr(0, piece));
    }
    if (bytes.size() > 0) {
        loader.Feed(bytes);
    }
    return loader.Finish();
}

void ReadAll(Store& store) {
    const std::vector<StatementSnapshot> all = store.statements().Snapshots();
    if (all.size() > kLimits.statements || store.texts().BytesUsed() > kLimits.text_bytes) {
        std::abort();
    }
    for (const StatementSnapshot& statement : all) {
        if (std::isnan(statement.StddevNs())) {
            std::abort();
        }
        QuantileMs(statement, 0.99);
        store.endpoints().NameOf(statement.key.endpoint);
        store.texts().Read(statement.key.database, statement.key.fingerprint, statement.key.user);
    }
    store.slow().Read();
    store.counters().Snapshots();
    if (store.findings().Snapshots().size() > kLimits.findings) {
        std::abort();
    }
}

void SaveAgain(Store& store, Block& other) {
    std::string file;
    Saver saver(store, 2);
    for (std::string piece = saver.Next(); !piece.empty(); piece = saver.Next()) {
        file += piece;
    }
    Store again = other.Fresh();
    if (!Load(again, file, file.size()).problem.empty() ||
        again.statements().Snapshots().size() != store.statements().Snapshots().size() ||
        again.findings().Snapshots().size() != store.findings().Snapshots().size()) {
        std::abort();
    }
}

/// Sections with right checksums: kind, two bytes of length, items, and so on.
std::string Framed(std::string_view input) {
    std::string file = SavedHeader();
    while (input.size() > 3) {
        const auto kind = static_cast<SavedKind>(static_cast<uint8_t>(input[0]) % 10);
        const size_t length = static_cast<uint8_t>(input[1]) | static_cast<uint8_t>(input[2]) << 8;
        input.remove_prefix(3);
        file += SectionOf(kind, input.substr(0, length));
        input.remove_prefix(std::min(length, input.size()));
    }
    return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static Block* block = new Block;
    static Block* other = new Block;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    for (const std::string& file : {std::string(input), Framed(input)}) {
        Store store = block->Fresh();
        Load(store, file, size % 7 * 5 + 1);
        ReadAll(store);
        SaveAgain(store, *other);
    }
    return 0;
}
