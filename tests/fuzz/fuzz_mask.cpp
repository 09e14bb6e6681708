// Any bytes are masked without a crash, within a length that follows from the input's, and what is
// left holds no literal. Constants told by offsets are replaced whatever the offsets are.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <vector>

#include "../../common/src/capture/tokenizer.h"
#include "fuzz.h"
#include "upkeep/capture/normalize.h"

using upkeep::capture::Kind;
using upkeep::capture::MaskOptions;
using upkeep::capture::SqlDialect;
using upkeep::capture::Token;
using upkeep::capture::Tokenizer;
using upkeep::fuzz::Check;

namespace {

bool IsParameter(std::string_view token, SqlDialect dialect) {
    if (dialect == SqlDialect::kSqlite) {
        return std::string_view("?$:@").find(token[0]) != std::string_view::npos;
    }
    return token.size() > 1 && token[0] == '$' &&
           token.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

/// A `$` that is no parameter and no quote (no SQL has one) may meet a number of ours and become
/// what looks like a quote.
bool HasStrayDollar(std::string_view sql, const MaskOptions& options) {
    Tokenizer tokenizer(sql, options.dialect, options.backslash);
    for (Token token = tokenizer.Next(); token.kind != Kind::kEnd; token = tokenizer.Next()) {
        if (token.text == "$") {
            return true;
        }
    }
    return false;
}

void CheckMasked(std::string_view sql, std::string_view masked, const MaskOptions& options) {
    if (HasStrayDollar(sql, options)) {
        return;
    }
    Tokenizer tokenizer(masked, options.dialect, options.backslash);
    for (Token token = tokenizer.Next(); token.kind != Kind::kEnd; token = tokenizer.Next()) {
        Check(token.kind != Kind::kLiteral || IsParameter(token.text, options.dialect),
              "no literal is left");
    }
}

/// Up to eight offsets, ascending, each once, some of them outside the text.
std::vector<int> TakeOffsets(std::string_view* input) {
    std::vector<int> offsets;
    for (uint8_t left = upkeep::fuzz::TakeByte(input) % 9; left > 0; --left) {
        offsets.push_back(upkeep::fuzz::TakeByte(input));
    }
    std::sort(offsets.begin(), offsets.end());
    offsets.erase(std::unique(offsets.begin(), offsets.end()), offsets.end());
    return offsets;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view sql = upkeep::fuzz::Text(data, size);
    const uint8_t flags = upkeep::fuzz::TakeByte(&sql);
    MaskOptions options;
    options.dialect = (flags & 1) != 0 ? SqlDialect::kSqlite : SqlDialect::kPostgres;
    options.backslash = (flags & 2) != 0;
    options.is_numbered = (flags & 4) == 0;
    options.first_number = 1 + (flags >> 4);
    const std::vector<int> offsets = TakeOffsets(&sql);
    const size_t most = sql.size() * 12 + 1;

    const std::string masked = upkeep::capture::MaskLiterals(sql, options);
    Check(masked.size() <= most, "the length is bounded");
    CheckMasked(sql, masked, options);
    const std::string replaced = upkeep::capture::ReplaceConstants(sql, offsets, options);
    Check(replaced.size() <= most, "the length is bounded");
    if (HasStrayDollar(sql, options)) {
        return 0;
    }
    Tokenizer tokenizer(replaced, options.dialect, options.backslash);
    for (Token token = tokenizer.Next(); token.kind != Kind::kEnd; token = tokenizer.Next()) {
        const bool is_quoted = token.kind == Kind::kLiteral && token.text.back() == '\'';
        Check(!is_quoted, "no quoted literal is left");
    }
    return 0;
}
