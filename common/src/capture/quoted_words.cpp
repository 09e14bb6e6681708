// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/quoted_words.h"

#include <map>
#include <set>

#include "tokenizer.h"
#include "upkeep/capture/statement_kind.h"

namespace upkeep::capture {

namespace {

constexpr size_t kMostQuestions = 256;  // of IsColumn for one text; what comes later is a string

/// Keywords behind which a name stands, never a value.
constexpr std::array<std::string_view, 32> kNameLeads = {
    "add",  "analyze", "as",        "collate", "column", "constraint", "detach",  "drop",
    "end",  "exists",  "from",      "index",   "into",   "join",       "null",    "of",
    "over", "pragma",  "recursive", "reindex", "rename", "references", "release", "savepoint",
    "set",  "table",   "to",        "trigger", "update", "view",       "window",  "with"};

/// Words whose name is followed by a list of names in parentheses.
constexpr std::array<std::string_view, 7> kListLeads = {"exists", "into", "recursive", "references",
                                                        "table",  "view", "with"};

template <typename Words>
bool IsOneOf(std::string_view word, const Words& words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

std::string InLowerCase(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        c = Lower(c);
    }
    return lower;
}

/// What a quoted word means; an unquoted one is itself.
std::string Meaning(std::string_view text) {
    const char quote = text.empty() ? '\0' : text[0];
    if (text.size() < 2 || (quote != '"' && quote != '`' && quote != '[')) {
        return std::string(text);
    }
    std::string name;
    for (size_t i = 1; i + 1 < text.size(); ++i) {
        name += text[i];
        if (quote != '[' && text[i] == quote) {
            ++i;  // doubled
        }
    }
    return name;
}

/// One walk over the tokens: names that the statement tells, and words in doubt.
class Walk {
  public:
    Walk(std::string_view sql, Vocabulary& vocabulary) : sql_(sql), vocabulary_(vocabulary) {}

    void Run() {
        Tokenizer tokenizer(sql_, SqlDialect::kSqlite);
        for (Token token = tokenizer.Next(); token.kind != Kind::kEnd; token = tokenizer.Next()) {
            Take(token);
            last_ = token.kind;
        }
        Settle(/*is_name=*/false);
    }

    struct Doubt {
        uint32_t at = 0;
        std::string name;
    };
    const std::vector<Doubt>& doubts() const { return doubts_; }
    const std::string& indexed() const { return indexed_; }
    bool IsNamed(const std::string& name) const { return names_.count(InLowerCase(name)) != 0; }

  private:
    void Take(const Token& token) {
        switch (token.kind) {
            case Kind::kWord:
                Settle(false);
                TakeWord(token.text);
                return;
            case Kind::kQuoted:
                Settle(false);
                TakeQuoted(token.text);
                return;
            case Kind::kDot:
                Settle(true);
                return;  // the name goes on
            case Kind::kOpen:
                // `name (`: a table before its columns or a function; a value is never followed so.
                Settle(true);
                if (is_name_ && lead_ == "on" && first_ == "create") {
                    indexed_ = name_;
                }
                is_list_.push_back(is_name_ && IsOneOf(lead_, kListLeads));
                break;
            case Kind::kClose:
                Settle(false);
                if (!is_list_.empty()) {
                    is_list_.pop_back();
                }
                break;
            default:
                Settle(false);
                break;
        }
        is_name_ = false;
        keyword_is_last_ = false;
    }

    void TakeWord(std::string_view text) {
        const std::string word = InLowerCase(text);
        const bool is_part = last_ == Kind::kDot;
        const bool is_keyword = !is_part && vocabulary_.IsKeyword(text);
        if (first_.empty()) {
            first_ = word;
        }
        if (!is_keyword) {
            if (is_part || NameIsDue()) {
                names_.insert(word);
            }
            BecomeName(word);
            return;
        }
        before_keyword_ = keyword_is_last_ ? keyword_ : "";
        keyword_ = word;
        keyword_is_last_ = true;
        is_name_ = false;
    }

    void TakeQuoted(std::string_view text) {
        if (text[0] != '"' || NameIsDue()) {
            names_.insert(InLowerCase(Meaning(text)));
        } else {
            pending_ = {static_cast<uint32_t>(text.data() - sql_.data()), Meaning(text)};
            is_pending_ = true;
        }
        BecomeName(Meaning(text));
    }

    /// `lead_` is the keyword before `a`, `a.b` or `a.b.c`, where one stands just before.
    void BecomeName(std::string name) {
        name_ = std::move(name);
        if (last_ != Kind::kDot) {
            lead_ = keyword_is_last_ ? keyword_ : "";
        }
        keyword_is_last_ = false;
        is_name_ = true;
    }

    /// Can what comes now be nothing but a name?
    bool NameIsDue() const {
        switch (last_) {
            case Kind::kDot:
            case Kind::kQuoted:
            case Kind::kLiteral:
            case Kind::kClose:
                return true;  // part of a name, or the alias of what ended here
            case Kind::kWord:
                return is_name_ || KeywordLeadsToName();
            case Kind::kOpen:
            case Kind::kComma:
                return !is_list_.empty() && is_list_.back();
            default:
                return false;
        }
    }

    bool KeywordLeadsToName() const {
        if (keyword_ == "from") {
            return before_keyword_ != "distinct";  // a IS DISTINCT FROM "x"
        }
        if (keyword_ == "into") {
            return first_ != "vacuum";  // VACUUM INTO "file"
        }
        if (keyword_ == "by") {
            return before_keyword_ == "indexed";
        }
        const bool is_action = keyword_ == "abort" || keyword_ == "fail" || keyword_ == "ignore" ||
                               keyword_ == "replace" || keyword_ == "rollback";
        return IsOneOf(keyword_, kNameLeads) || (is_action && before_keyword_ == "or");
    }

    /// The word that was in doubt, now that the token behind it is seen.
    void Settle(bool is_name) {
        if (!is_pending_) {
            return;
        }
        is_pending_ = false;
        if (is_name) {
            names_.insert(InLowerCase(pending_.name));
        } else {
            doubts_.push_back(std::move(pending_));
        }
    }

    std::string_view sql_;
    Vocabulary& vocabulary_;
    std::set<std::string> names_;
    std::vector<Doubt> doubts_;
    Doubt pending_;  // in doubt until the next token is seen
    bool is_pending_ = false;
    Kind last_ = Kind::kEnd;
    bool is_name_ = false;  // the last token was a name, or is in doubt
    std::string first_;     // word of the statement
    std::string keyword_;   // the last one, and the one just before it
    std::string before_keyword_;
    bool keyword_is_last_ = false;
    std::string lead_;
    std::string name_;           // the last one
    std::string indexed_;        // table of CREATE INDEX
    std::vector<bool> is_list_;  // per parenthesis
};

}  // namespace

std::vector<uint32_t> QuotedStrings(std::string_view sql, Vocabulary& vocabulary) {
    std::vector<uint32_t> strings;
    if (sql.find('"') == std::string_view::npos) {
        return strings;
    }
    Walk walk(sql, vocabulary);
    walk.Run();
    if (walk.doubts().empty()) {
        return strings;
    }
    std::string tables = TablesOf(Normalize(sql, SqlDialect::kSqlite));
    if (!walk.indexed().empty()) {
        tables += (tables.empty() ? "" : "\n") + walk.indexed();
    }
    const auto is_table = [&](const std::string& name) {
        const std::string line = '\n' + name + '\n';
        return ('\n' + tables + '\n').find(line) != std::string::npos;
    };
    std::map<std::string, bool> known;
    for (const auto& [at, name] : walk.doubts()) {
        auto found = known.find(name);
        if (found == known.end()) {
            const bool is_name =
                walk.IsNamed(name) || is_table(name) ||
                (known.size() < kMostQuestions && vocabulary.IsColumn(tables, name));
            found = known.emplace(name, is_name).first;
        }
        if (!found->second) {
            strings.push_back(at);
        }
    }
    return strings;
}

}  // namespace upkeep::capture
