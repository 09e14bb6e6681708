// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/unfinished_plan.h"

#include <charconv>
#include <cmath>
#include <vector>

#include "upkeep/base/text.h"

namespace upkeep::capture {

namespace {

// "~", nodes left out, then a line per node. JSON never begins so.
constexpr char kMark = '~';
enum Field {
    kDepth,
    kType,
    kDetail,
    kRelation,
    kIndex,
    kPlannedRows,
    kCost,
    kRows,
    kLoops,
    kFields
};

std::vector<std::string_view> Split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    for (size_t from = 0; from <= text.size();) {
        const size_t end = std::min(text.find(at, from), text.size());
        parts.push_back(text.substr(from, end - from));
        from = end + 1;
    }
    return parts;
}

template <typename Number>
Number NumberOf(std::string_view text) {
    Number number{};
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

std::string Short(double number) {
    char text[32];
    const double shown = std::isfinite(number) ? number : 0;
    const bool is_usual = std::fabs(shown) < 1e15;
    const std::to_chars_result put =
        is_usual ? std::to_chars(text, text + sizeof text, shown, std::chars_format::fixed, 2)
                 : std::to_chars(text, text + sizeof text, shown, std::chars_format::general, 6);
    return {text, put.ptr};
}

/// Writes nodes one after the other; what is open is closed when a node of no more depth comes.
class Writer {
  public:
    explicit Writer(const NameOfRelation& name_of) : name_of_(name_of) {}

    void Add(const std::vector<std::string_view>& fields) {
        const size_t depth =
            std::min<size_t>(NumberOf<uint32_t>(fields[kDepth]), has_children_.size());
        Close(depth);
        if (depth > 0) {
            out_ += has_children_.back() ? "," : ",\"Plans\":[";
            has_children_.back() = true;
        }
        has_children_.push_back(false);
        out_ += "{\"Node Type\":" + JsonString(fields[kType]);
        if (!fields[kDetail].empty()) {
            out_ += ",\"Operation\":" + JsonString(fields[kDetail]);
        }
        AddName("Relation Name", fields[kRelation]);
        AddName("Index Name", fields[kIndex]);
        AddNumber("Total Cost", fields[kCost]);
        AddNumber("Plan Rows", fields[kPlannedRows]);
        if (!fields[kLoops].empty()) {
            out_ += ",\"Rows So Far\":" + std::to_string(NumberOf<uint64_t>(fields[kRows])) +
                    ",\"Loops So Far\":" + std::to_string(NumberOf<uint64_t>(fields[kLoops]));
        }
    }

    std::string Finish(uint32_t left_out) {
        if (out_.empty()) {
            return "{\"Unfinished\":true}";
        }
        Close(0);
        std::string all = "{\"Plan\":" + out_ + ",\"Unfinished\":true";
        if (left_out != 0) {
            all += ",\"Nodes Left Out\":" + std::to_string(left_out);
        }
        return all + "}";
    }

  private:
    void Close(size_t depth) {
        for (; has_children_.size() > depth; has_children_.pop_back()) {
            out_ += has_children_.back() ? "]}" : "}";
        }
    }
    void AddName(const char* key, std::string_view number) {
        const auto relation = NumberOf<uint32_t>(number);
        if (relation == 0) {
            return;
        }
        std::string name = name_of_(relation);
        if (name.empty()) {
            name = "<dropped: " + std::to_string(relation) + ">";
        }
        out_ += std::string(",\"") + key + "\":" + JsonString(name);
    }
    void AddNumber(const char* key, std::string_view number) {
        out_ += std::string(",\"") + key + "\":" + Short(NumberOf<double>(number));
    }

    const NameOfRelation& name_of_;
    std::string out_;
    std::vector<bool> has_children_;  // of the nodes that are open
};

}  // namespace

std::string PackUnfinished(std::span<const UnfinishedNode> nodes, uint32_t left_out) {
    std::string packed = kMark + std::to_string(left_out);
    for (const UnfinishedNode& node : nodes) {
        packed += "\n" + std::to_string(node.depth) + "\t" + node.type + "\t" + node.detail + "\t" +
                  std::to_string(node.relation) + "\t" + std::to_string(node.index) + "\t" +
                  Short(node.planned_rows) + "\t" + Short(node.total_cost) + "\t";
        if (node.is_counted) {
            packed += std::to_string(node.rows) + "\t" + std::to_string(node.loops);
        } else {
            packed += "\t";
        }
    }
    return packed;
}

bool IsUnfinished(std::string_view plan) {
    return !plan.empty() && plan[0] == kMark;
}

std::string UnfinishedJson(std::string_view packed, const NameOfRelation& name_of) {
    if (!IsUnfinished(packed)) {
        return Writer(name_of).Finish(0);
    }
    const std::vector<std::string_view> lines = Split(packed.substr(1), '\n');
    Writer writer(name_of);
    for (size_t i = 1; i < lines.size(); ++i) {
        const std::vector<std::string_view> fields = Split(lines[i], '\t');
        if (fields.size() == kFields && (i == 1 || fields[kDepth] != "0")) {
            writer.Add(fields);
        }
    }
    return writer.Finish(NumberOf<uint32_t>(lines[0]));
}

}  // namespace upkeep::capture
