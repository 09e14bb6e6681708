// Any bytes normalise without a crash, within the promised length, to a text that holds no literal
// and normalises to itself in the dialect where `?` is a parameter.
// SPDX-License-Identifier: PostgreSQL
#include "../../common/src/capture/tokenizer.h"
#include "fuzz.h"
#include "upkeep/capture/normalize.h"

using upkeep::capture::Kind;
using upkeep::capture::SqlDialect;
using upkeep::capture::Token;
using upkeep::capture::Tokenizer;
using upkeep::fuzz::Check;

namespace {

/// Tokens follow each other, none is empty, none overlaps.
void CheckTokens(std::string_view sql, SqlDialect dialect, bool backslash) {
    Tokenizer tokenizer(sql, dialect, backslash);
    const char* at = sql.data();
    for (Token token = tokenizer.Next(); token.kind != Kind::kEnd; token = tokenizer.Next()) {
        Check(!token.text.empty() && token.text.data() >= at, "tokens advance");
        at = token.text.data() + token.text.size();
        Check(at <= sql.data() + sql.size(), "tokens stay inside the text");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view sql = upkeep::fuzz::Text(data, size);
    for (const auto dialect : {SqlDialect::kPostgres, SqlDialect::kSqlite}) {
        CheckTokens(sql, dialect, false);
        CheckTokens(sql, dialect, true);
        const std::string shape = upkeep::capture::Normalize(sql, dialect);
        Check(shape.size() <= 2 * size + 1, "at most twice the input and one");
        Tokenizer again(shape, dialect);
        for (Token token = again.Next(); token.kind != Kind::kEnd; token = again.Next()) {
            Check(token.kind != Kind::kLiteral || token.text == "?", "no literal is left");
        }
        if (dialect == SqlDialect::kSqlite) {
            Check(upkeep::capture::Normalize(shape, dialect) == shape, "a shape is its own shape");
        }
        upkeep::capture::Fingerprint(shape);
    }
    return 0;
}
