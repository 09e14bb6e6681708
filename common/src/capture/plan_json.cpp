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

}  // namespace

std::string CompactPlan(std::string_view json, bool keeps_literals) {
    std::string out;
    out.reserve(json.size());
    std::string_view key;
    for (size_t i = 0; i < json.size();) {
        if (IsBlank(json[i])) {
            ++i;
            continue;
        }
        if (json[i] != '"') {
            out += json[i++];
            continue;
        }
        const size_t end = StringEnd(json, i);
        const std::string_view quoted = json.substr(i, end - i);
        i = end;
        size_t next = end;
        while (next < json.size() && IsBlank(json[next])) {
            ++next;
        }
        if (next < json.size() && json[next] == ':') {
            key = quoted.size() >= 2 ? quoted.substr(1, quoted.size() - 2) : quoted;
            out += quoted;
        } else if (keeps_literals || IsPlainKey(key)) {
            out += quoted;
        } else {
            out += JsonString(MaskLiterals(Unescaped(quoted), {.is_numbered = false}));
        }
    }
    return out;
}

}  // namespace upkeep::capture
