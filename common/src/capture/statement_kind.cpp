// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/statement_kind.h"

#include <vector>

namespace upkeep::capture {

namespace {

constexpr std::string_view kQuotes = "\"`[";

/// Cuts a normalised text into words, quoted names and single other characters.
class Words {
  public:
    explicit Words(std::string_view text) : text_(text) {}

    std::string_view Next() {
        while (at_ < text_.size() && text_[at_] == ' ') {
            ++at_;
        }
        if (at_ >= text_.size()) {
            return {};
        }
        const size_t from = at_;
        if (IsWord(text_[at_])) {
            while (at_ < text_.size() && IsWord(text_[at_])) {
                ++at_;
            }
        } else if (kQuotes.find(text_[at_]) != std::string_view::npos) {
            const char close = text_[at_] == '[' ? ']' : text_[at_];
            at_ = std::min(text_.find(close, at_ + 1), text_.size() - 1) + 1;
        } else {
            ++at_;
        }
        return text_.substr(from, at_ - from);
    }

  private:
    static bool IsWord(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '$' || static_cast<unsigned char>(c) >= 0x80;
    }

    std::string_view text_;
    size_t at_ = 0;
};

bool IsName(std::string_view word) {
    return !word.empty() &&
           (kQuotes.find(word[0]) != std::string_view::npos || word[0] == '_' ||
            (word[0] >= 'a' && word[0] <= 'z') || static_cast<unsigned char>(word[0]) >= 0x80);
}

std::string_view Unquoted(std::string_view word) {
    return word.size() >= 2 && kQuotes.find(word[0]) != std::string_view::npos
               ? word.substr(1, word.size() - 2)
               : word;
}

Operation OperationOfWord(std::string_view word) {
    if (word == "select" || word == "values") {
        return Operation::kSelect;
    }
    if (word == "insert" || word == "replace") {
        return Operation::kInsert;
    }
    if (word == "update") {
        return Operation::kUpdate;
    }
    if (word == "delete") {
        return Operation::kDelete;
    }
    if (word == "merge") {
        return Operation::kMerge;
    }
    return Operation::kUtility;
}

/// Words after which a comma no longer separates tables.
bool EndsList(std::string_view word) {
    constexpr std::string_view kEnds[] = {"where", "group",  "order",  "limit",     "union",
                                          "set",   "having", "window", "returning", "select"};
    return std::find(std::begin(kEnds), std::end(kEnds), word) != std::end(kEnds);
}

/// Collects table names: state of one walk over the words.
class TableFinder {
  public:
    void Take(std::string_view word) {
        if (word == "(" || word == ")") {
            Flush();
            if (word == "(") {  // `from (a join b)`; `from (select` is undone by the next word
                lists_.push_back(expects_);
            } else {
                expects_ = false;
                if (lists_.size() > 1) {
                    lists_.pop_back();
                }
            }
            last_ = word;
            return;
        }
        if (last_ == "as" && word == "materialized") {
            return;
        }
        TakeWord(word);
        last_ = word;
    }

    std::string Finish() {
        Flush();
        std::string all;
        for (const std::string& name : names_) {
            if (std::find(aliases_.begin(), aliases_.end(), name) == aliases_.end()) {
                all += all.empty() ? name : '\n' + name;
            }
        }
        return all;
    }

    void AddCommonTable(std::string_view name) { aliases_.emplace_back(Unquoted(name)); }

  private:
    void TakeWord(std::string_view word) {
        if (word == "." && !name_.empty()) {
            name_ += '.';
            return;
        }
        if (!name_.empty() && name_.back() == '.' && IsName(word)) {
            name_ += Unquoted(word);
            return;
        }
        Flush();
        if ((word == "from" && last_ != "distinct") ||  // a is distinct from b
            word == "join" || word == "into" ||
            (word == "update" && last_ != "do" && last_ != "for")) {
            expects_ = true;
            if (word == "from") {
                lists_.back() = true;
            }
        } else if (word == "," && lists_.back()) {
            expects_ = true;
        } else if (expects_ && (word == "or" || word == "only" || last_ == "or")) {
            // update or ignore t; from only t
        } else if (expects_ && last_ == "update" && (word == "on" || word == "of")) {
            expects_ = word == "on";  // create trigger … after update on t
        } else if (expects_ && IsName(word) && word != "select" && word != "values" &&
                   word != "lateral" && word != "set" && word != "with") {
            name_ = Unquoted(word);
            expects_ = false;
        } else {
            expects_ = false;
            if (EndsList(word)) {
                lists_.back() = false;
            }
        }
    }

    void Flush() {
        if (!name_.empty() && std::find(names_.begin(), names_.end(), name_) == names_.end()) {
            names_.push_back(name_);
        }
        name_.clear();
    }

    std::vector<std::string> names_;
    std::vector<std::string> aliases_;
    std::string name_;
    std::string_view last_;
    bool expects_ = false;               // a table name may come next
    std::vector<bool> lists_ = {false};  // per depth: after FROM, a comma brings another table
};

}  // namespace

Operation OperationOf(std::string_view normalized) {
    Words words(normalized);
    std::string_view word = words.Next();
    while (word == "(") {
        word = words.Next();
    }
    if (word != "with") {
        return OperationOfWord(word);
    }
    for (int depth = 0; !word.empty(); word = words.Next()) {
        depth += word == "(" ? 1 : word == ")" ? -1 : 0;
        if (depth == 0 && OperationOfWord(word) != Operation::kUtility) {
            return OperationOfWord(word);
        }
    }
    return Operation::kOther;
}

std::string TablesOf(std::string_view normalized) {
    if (normalized.starts_with("vacuum ")) {
        return {};  // INTO names a file
    }
    TableFinder finder;
    Words words(normalized);
    // Names before `as (` in a WITH are no tables: w is one in `with w as (…)`, `, w(a, b) as (…)`.
    std::string_view candidate;
    std::string_view before;
    int depth = 0;
    int common_depth = -1;
    for (std::string_view word = words.Next(); !word.empty(); word = words.Next()) {
        if (word == "with") {
            common_depth = depth;
            candidate = {};
        } else if (depth == common_depth && OperationOfWord(word) != Operation::kUtility) {
            common_depth = -1;
        } else if (depth == common_depth && (before == "with" || before == ",") && IsName(word)) {
            candidate = word;
        } else if (depth == common_depth && word == "as" && !candidate.empty()) {
            finder.AddCommonTable(candidate);
        }
        if (before == "recursive" && depth == common_depth && IsName(word)) {
            candidate = word;
        }
        depth += word == "(" ? 1 : word == ")" ? -1 : 0;
        finder.Take(word);
        before = word;
    }
    return finder.Finish();
}

}  // namespace upkeep::capture
