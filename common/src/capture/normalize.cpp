// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/normalize.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "tokenizer.h"

namespace upkeep::capture {

namespace {

/// Words before which a following parenthesis keeps its space; after other words it is a call.
constexpr std::array<std::string_view, 39> kSpacedWords = {
    "all",       "and",    "any",    "as",         "between", "by",    "case",   "check",
    "distinct",  "else",   "except", "exists",     "filter",  "from",  "having", "in",
    "intersect", "is",     "join",   "key",        "like",    "limit", "not",    "offset",
    "on",        "or",     "over",   "references", "select",  "set",   "some",   "then",
    "union",     "unique", "using",  "values",     "when",    "where", "with"};

bool KeepsSpace(std::string_view word) {
    return std::find(kSpacedWords.begin(), kSpacedWords.end(), word) != kSpacedWords.end();
}

/// Writes tokens with one canonical spacing and folds lists of literals after IN.
class Writer {
  public:
    explicit Writer(bool has_notes) : has_notes_(has_notes) {}

    void Add(const Token& token) {
        if (FoldsIntoList(token)) {
            return;
        }
        const bool opens_list =
            token.kind == Kind::kOpen && last_kind_ == Kind::kWord && Last() == "in";
        const bool is_wildcard =
            has_notes_ && last_kind_ == Kind::kWord && BeginsWithWildcard(Last(), token);
        if (NeedsSpace(token.kind)) {
            out_ += ' ';
        }
        const size_t start = out_.size();
        if (token.kind == Kind::kLiteral) {
            out_ += '?';
            if (is_wildcard) {
                out_ += kWildcardNote;
            }
        } else if (token.kind == Kind::kWord) {
            std::transform(token.text.begin(), token.text.end(), std::back_inserter(out_), Lower);
        } else {
            out_ += token.text;
        }
        if (token.kind == Kind::kOpen) {
            list_ = opens_list ? List::kOpened : List::kNone;
        } else if (token.kind == Kind::kLiteral && list_ == List::kOpened) {
            list_ = List::kHasItem;
        } else {
            list_ = List::kNone;
        }
        last_kind_ = token.kind;
        last_start_ = start;
    }

    std::string Finish() {
        if (list_ == List::kHasComma) {
            out_ += ',';
        }
        while (out_.ends_with(';') || out_.ends_with(' ')) {
            out_.pop_back();
        }
        return std::move(out_);
    }

  private:
    enum class List : uint8_t { kNone, kOpened, kHasItem, kHasComma };

    std::string_view Last() const { return std::string_view(out_).substr(last_start_); }

    /// `in (?, ?, ?` is written as `in (?`; a comma that turns out to stand before something else
    /// is written late.
    bool FoldsIntoList(const Token& token) {
        if (list_ == List::kHasItem && token.kind == Kind::kComma) {
            list_ = List::kHasComma;
            return true;
        }
        if (list_ == List::kHasComma) {
            if (token.kind == Kind::kLiteral) {
                list_ = List::kHasItem;
                return true;
            }
            list_ = List::kNone;
            out_ += ',';
            last_kind_ = Kind::kComma;
            last_start_ = out_.size() - 1;
        }
        return false;
    }

    bool NeedsSpace(Kind next) const {
        if (out_.empty() || last_kind_ == Kind::kOpen || last_kind_ == Kind::kDot) {
            return false;
        }
        switch (next) {
            case Kind::kClose:
            case Kind::kComma:
            case Kind::kDot:
                return false;
            case Kind::kOpen:
                if (last_kind_ == Kind::kWord) {
                    return KeepsSpace(Last());
                }
                return last_kind_ != Kind::kQuoted;
            default:
                return true;
        }
    }

    bool has_notes_;
    std::string out_;
    Kind last_kind_ = Kind::kEnd;
    size_t last_start_ = 0;
    List list_ = List::kNone;
};

/// PRAGMA key = …, ATTACH … KEY …: the key of an encrypted database may be written without quotes.
void CutKey(std::string* shape) {
    constexpr std::string_view kPragma = "pragma ";
    constexpr std::string_view kKey = " key ";
    constexpr std::string_view kNames[] = {"key",      "rekey",   "hexkey",
                                           "hexrekey", "textkey", "textrekey"};
    if (shape->starts_with(kPragma)) {
        const size_t end = std::min(shape->find_first_of(" =(", kPragma.size()), shape->size());
        const size_t dot = shape->rfind('.', end);
        const size_t begin = dot == std::string::npos ? kPragma.size() : dot + 1;
        const std::string_view name = std::string_view(*shape).substr(begin, end - begin);
        if (std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames)) {
            shape->resize(end);
        }
    } else if (shape->starts_with("attach ")) {
        const size_t at = shape->find(kKey);
        if (at != std::string::npos) {
            shape->resize(at + kKey.size() - 1);
        }
    }
}

}  // namespace

namespace {

std::string Write(std::string_view sql, SqlDialect dialect, std::span<const uint32_t> strings,
                  bool has_notes) {
    Tokenizer tokenizer(sql, dialect);
    Writer writer(has_notes);
    for (Token token = tokenizer.Next(); token.kind != Kind::kEnd; token = tokenizer.Next()) {
        if (!strings.empty() && token.text.data() - sql.data() == strings.front()) {
            token.kind = Kind::kLiteral;
            strings = strings.subspan(1);
        }
        writer.Add(token);
    }
    std::string shape = writer.Finish();
    if (dialect == SqlDialect::kSqlite) {
        CutKey(&shape);
    }
    return shape;
}

}  // namespace

std::string Normalize(std::string_view sql, SqlDialect dialect, std::span<const uint32_t> strings) {
    return Write(sql, dialect, strings, false);
}

std::string NormalizeWithNotes(std::string_view sql, SqlDialect dialect,
                               std::span<const uint32_t> strings) {
    return Write(sql, dialect, strings, true);
}

int64_t Fingerprint(std::string_view normalized) {
    // FNV-1a, then a finalizer that spreads the last bytes over all bits.
    uint64_t hash = 14695981039346656037ULL;
    for (const char c : normalized) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    }
    hash ^= hash >> 32;
    hash *= 0xD6E8FEB86659FD93ULL;
    hash ^= hash >> 32;
    return static_cast<int64_t>(hash);
}

}  // namespace upkeep::capture
