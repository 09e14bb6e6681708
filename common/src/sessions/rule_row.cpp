// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/rule_row.h"

#include "upkeep/base/table_function.h"

namespace upkeep::sessions {

namespace {

constexpr std::array<std::string_view, 3> kMayBeNull = {"match_address", "only_above_usage_ratio",
                                                        "max_per_minute"};

bool Fits(Type type, const Value& value) {
    switch (type) {
        case Type::kText:
            return std::holds_alternative<std::string>(value);
        case Type::kBool:
            return std::holds_alternative<bool>(value);
        case Type::kInt:
        case Type::kInterval:
            return std::holds_alternative<int64_t>(value);
        case Type::kFloat8:
            return std::holds_alternative<double>(value);
        case Type::kTextArray:
            return std::holds_alternative<TextArray>(value);
        default:
            return false;
    }
}

Result<void> CheckShape(const TableFunction& table, const Row& row) {
    if (row.size() != table.columns.size()) {
        return Error(Code::kInternal, "a row of reap_rules has another number of columns");
    }
    for (size_t i = 0; i < row.size(); ++i) {
        const std::string name(table.columns[i].name);
        if (!IsNull(row[i])) {
            if (!Fits(table.columns[i].type, row[i])) {
                return Error(Code::kInternal, "column " + name + " of reap_rules has another type");
            }
        } else if (std::find(kMayBeNull.begin(), kMayBeNull.end(), name) == kMayBeNull.end()) {
            return Error(Code::kInvalidArgument, name + " must not be null",
                         name == "name" ? "clients whose session it ends see it in the message"
                                        : "leave the column out and its default counts");
        }
    }
    return {};
}

/// The values of one row by name; its shape has been checked.
class Cells {
  public:
    Cells(const TableFunction& table, const Row& row) : table_(table), row_(row) {}

    const Value& operator[](std::string_view name) const {
        size_t at = 0;
        while (table_.columns[at].name != name) {
            ++at;
        }
        return row_[at];
    }
    const std::string& Text(std::string_view name) const {
        return std::get<std::string>((*this)[name]);
    }
    int64_t Integer(std::string_view name) const { return std::get<int64_t>((*this)[name]); }
    bool Bool(std::string_view name) const { return std::get<bool>((*this)[name]); }

  private:
    const TableFunction& table_;
    const Row& row_;
};

/// What needs no parsing. NULL has become a number that no user may write; his own gets one that
/// CheckRule refuses.
Rule PlainFields(const Cells& cells) {
    Rule rule;
    rule.name = cells.Text("name");
    rule.priority = static_cast<int32_t>(cells.Integer("priority"));
    rule.enabled = cells.Bool("enabled");
    rule.match_database = cells.Text("match_database");
    rule.match_user = cells.Text("match_user");
    rule.match_application = cells.Text("match_application");
    rule.match_state = cells.Text("match_state");
    rule.idle_for_ms = cells.Integer("idle_for");
    rule.only_blocking = cells.Bool("only_blocking");
    if (const auto* ratio = std::get_if<double>(&cells["only_above_usage_ratio"])) {
        rule.only_above_usage_ratio = *ratio >= 0 ? *ratio : 2;  // NaN, too
    }
    rule.keep_at_least = cells.Integer("keep_at_least");
    if (const auto* most = std::get_if<int64_t>(&cells["max_per_minute"])) {
        rule.max_per_minute = std::max<int64_t>(*most, 0);
    }
    return rule;
}

}  // namespace

Result<Rule> RuleOfRow(const Row& row, RuleFor use) {
    const TableFunction& table = *FindCall("reap_rules");
    if (const Result<void> checked = CheckShape(table, row); !checked.ok()) {
        return checked.error();
    }
    const Cells cells(table, row);
    Rule rule = PlainFields(cells);
    const Value& address = cells["match_address"];
    const Result<Network> network =
        ParseNetwork(IsNull(address) ? std::string_view() : std::get<std::string>(address));
    if (!network.ok()) {
        return network.error();
    }
    rule.match_address = network.value();
    const Result<RuleAction> action = ParseAction(cells.Text("action"));
    if (!action.ok()) {
        return action.error();
    }
    rule.action = action.value();
    const Result<uint8_t> spare = ParseSpare(std::get<TextArray>(cells["spare"]));
    if (!spare.ok()) {
        return spare.error();
    }
    rule.spare = spare.value();
    if (const Result<void> checked = CheckRule(rule, use); !checked.ok()) {
        return checked.error();
    }
    return rule;
}

Value DefaultOfRule(std::string_view column) {
    const Rule rule;
    const auto text = [](std::string_view value) { return Value(std::string(value)); };
    if (column == "priority") {
        return int64_t{rule.priority};
    }
    if (column == "enabled") {
        return rule.enabled;
    }
    if (column == "match_database" || column == "match_user" || column == "match_application") {
        return text(rule.match_database);
    }
    if (column == "match_state") {
        return text(rule.match_state);
    }
    if (column == "idle_for") {
        return rule.idle_for_ms;
    }
    if (column == "only_blocking") {
        return rule.only_blocking;
    }
    if (column == "keep_at_least") {
        return rule.keep_at_least;
    }
    if (column == "action") {
        return text(ActionWord(rule.action));
    }
    if (column == "spare") {
        return SpareWords(kSpareAll);
    }
    return {};
}

}  // namespace upkeep::sessions
