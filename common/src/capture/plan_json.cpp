// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/plan_json.h"

#include <algorithm>

#include "upkeep/base/text.h"
#include "upkeep/capture/normalize.h"

namespace upkeep::capture {

namespace {

/// Keys whose values are words of the planner or names in the catalog, never data.
bool IsPlainKey(std::string_view key) {
    constexpr std::string_view kPlain[] = {"Node Type",
                                           "Relation Name",
                                           "Schema",
                                           "Alias",
                                           "Index Name",
                                           "Join Type",
                                           "Parent Relationship",
                                           "Operation",
                                           "Strategy",
                                           "Partial Mode",
                                           "Command",
                                           "Scan Direction",
                                           "Subplan Name",
                                           "CTE Name",
                                           "Function Name",
                                           "Sort Method",
                                           "Sort Space Type",
                                           "Cache Mode",
                                           "Tuplestore Name",
                                           "Table Function Name",
                                           "Custom Plan Provider"};
    return std::find(std::begin(kPlain), std::end(kPlain), key) != std::end(kPlain);
}

/// End of the JSON string that starts at `from` (after its closing quote).
size_t StringEnd(std::string_view json, size_t from) {
    for (size_t i = from + 1; i < json.size(); ++i) {
        if (json[i] == '\\') {
            ++i;
        } else if (json[i] == '"') {
            return i + 1;
        }
    }
    return json.size();
}

/// The text of a JSON string. \u escapes of the server are control characters only: a space.
std::string Unescaped(std::string_view quoted) {
    std::string text;
    for (size_t i = 1; i + 1 < quoted.size(); ++i) {
        if (quoted[i] != '\\') {
            text += quoted[i];
            continue;
        }
        ++i;
        if (quoted[i] == 'u') {
            text += ' ';
            i += 4;
        } else {
            text += quoted[i] == '"' || quoted[i] == '\\' || quoted[i] == '/' ? quoted[i] : ' ';
        }
    }
    return text;
}

bool IsBlank(char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/// What a plan with counts can do without, of each node.
bool IsDetail(std::string_view key) {
    constexpr std::string_view kDetails[] = {
        "Parallel Aware",      "Async Capable",       "Plan Width",  "Startup Cost",
        "Actual Startup Time", "Parent Relationship", "Inner Unique"};
    constexpr std::string_view kBlocks = " Blocks";
    return std::find(std::begin(kDetails), std::end(kDetails), key) != std::end(kDetails) ||
           (key.size() > kBlocks.size() && key.substr(key.size() - kBlocks.size()) == kBlocks &&
            key.find("Heap") == key.npos) ||
           key.substr(0, 4) == "I/O ";
}

size_t SkipBlanks(std::string_view json, size_t at) {
    while (at < json.size() && IsBlank(json[at])) {
        ++at;
    }
    return at;
}

/// Copies a plan token by token.
class Copier {
  public:
    Copier(std::string_view json, bool keeps_literals, bool keeps_details)
        : json_(json), keeps_literals_(keeps_literals), keeps_details_(keeps_details) {
        out_.reserve(json.size());
    }

    std::string Copy() {
        while (at_ < json_.size()) {
            if (IsBlank(json_[at_])) {
                ++at_;
            } else if (json_[at_] == '"') {
                CopyString();
            } else {
                out_ += json_[at_++];
            }
        }
        return std::move(out_);
    }

  private:
    void CopyString() {
        const size_t end = StringEnd(json_, at_);
        const std::string_view quoted = json_.substr(at_, end - at_);
        at_ = end;
        const size_t next = SkipBlanks(json_, end);
        if (next < json_.size() && json_[next] == ':') {
            key_ = quoted.size() >= 2 ? quoted.substr(1, quoted.size() - 2) : quoted;
            if (keeps_details_ || !IsDetail(key_) || !SkipValue(next + 1)) {
                out_ += quoted;
            }
        } else if (keeps_literals_ || IsPlainKey(key_)) {
            out_ += quoted;
        } else {
            out_ += JsonString(MaskLiterals(Unescaped(quoted), {.is_numbered = false}));
        }
    }

    /// Goes past a plain value and one of the commas beside it. False: it is no plain value.
    bool SkipValue(size_t from) {
        const size_t start = SkipBlanks(json_, from);
        if (start >= json_.size() || json_[start] == '{' || json_[start] == '[') {
            return false;
        }
        const size_t end = json_[start] == '"' ? StringEnd(json_, start)
                                               : json_.find_first_of(",}] \t\r\n", start);
        const size_t after = SkipBlanks(json_, std::min(end, json_.size()));
        if (!out_.empty() && out_.back() == ',') {
            out_.pop_back();
            at_ = after;
        } else {
            at_ = after < json_.size() && json_[after] == ',' ? after + 1 : after;
        }
        return true;
    }

    std::string_view json_;
    bool keeps_literals_;
    bool keeps_details_;
    size_t at_ = 0;
    std::string_view key_;
    std::string out_;
};

}  // namespace

std::string CompactPlan(std::string_view json, bool keeps_literals, size_t room) {
    std::string whole = Copier(json, keeps_literals, true).Copy();
    return whole.size() <= room ? whole : Copier(json, keeps_literals, false).Copy();
}

}  // namespace upkeep::capture
