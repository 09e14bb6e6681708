// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/rule.h"

#include <charconv>

namespace upkeep::sessions {

namespace {

constexpr std::array<std::string_view, 3> kIdleStates = {kIdle, kIdleInTransaction, kAborted};

struct SpareWord {
    std::string_view word;
    Spare bit;
};
constexpr std::array<SpareWord, 4> kSpareWords = {{{"listening", kListening},
                                                   {"session_lock", kSessionLock},
                                                   {"temp_table", kTempTable},
                                                   {"held_cursor", kHeldCursor}}};

struct ActionName {
    std::string_view word;
    RuleAction action;
};
constexpr std::array<ActionName, 3> kActions = {
    {{"end", RuleAction::kEnd}, {"cancel", RuleAction::kCancel}, {"log", RuleAction::kLog}}};

size_t CharacterBytes(std::string_view text, size_t at) {
    size_t end = at + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
        ++end;
    }
    return end - at;
}

/// The whole text as a number, or nullopt.
std::optional<unsigned> Number(std::string_view text, int base, unsigned most) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || value > most) {
        return std::nullopt;
    }
    return value;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (size_t at = 0;;) {
        const size_t end = text.find(separator, at);
        parts.push_back(text.substr(at, end - at));
        if (end == std::string_view::npos) {
            return parts;
        }
        at = end + 1;
    }
}

bool ReadIp4(std::string_view text, uint8_t* bytes) {
    const std::vector<std::string_view> parts = Split(text, '.');
    for (const std::string_view part : parts) {
        const std::optional<unsigned> value = Number(part, 10, 255);
        if (parts.size() != 4 || part.size() > 3 || !value) {
            return false;
        }
        *bytes++ = static_cast<uint8_t>(*value);
    }
    return true;
}

/// Groups of four hexadecimal digits on one side of `::`, the last of them perhaps an IPv4 address.
bool ReadGroups(std::string_view text, std::vector<uint8_t>* bytes) {
    if (text.empty()) {
        return true;
    }
    const std::vector<std::string_view> parts = Split(text, ':');
    for (size_t i = 0; i < parts.size(); ++i) {
        std::array<uint8_t, 4> four = {};
        if (i + 1 == parts.size() && ReadIp4(parts[i], four.data())) {
            bytes->insert(bytes->end(), four.begin(), four.end());
            continue;
        }
        const std::optional<unsigned> value = Number(parts[i], 16, 0xFFFF);
        if (!value || parts[i].size() > 4) {
            return false;
        }
        bytes->push_back(static_cast<uint8_t>(*value >> 8));
        bytes->push_back(static_cast<uint8_t>(*value & 0xFF));
    }
    return true;
}

/// Source: RFC 4291, section 2.2.
bool ReadIp6(std::string_view text, uint8_t* bytes) {
    const size_t gap = text.find("::");
    std::vector<uint8_t> left;
    std::vector<uint8_t> right;
    if (!ReadGroups(text.substr(0, gap), &left) ||
        (gap != std::string_view::npos && !ReadGroups(text.substr(gap + 2), &right))) {
        return false;
    }
    const size_t found = left.size() + right.size();
    if (gap == std::string_view::npos ? found != 16 : found > 14) {
        return false;
    }
    std::copy(left.begin(), left.end(), bytes);
    std::copy(right.begin(), right.end(), bytes + 16 - right.size());
    return true;
}

/// Without a mask.
Network ReadAddress(std::string_view text) {
    Network network;
    if (ReadIp4(text, network.bytes.data())) {
        network.family = Network::Family::kIp4;
        network.bits = 32;
        return network;
    }
    network.bytes = {};
    if (!text.empty() && ReadIp6(text, network.bytes.data())) {
        network.family = Network::Family::kIp6;
        network.bits = 128;
    }
    return network;
}

uint8_t MaskOf(unsigned byte, unsigned bits) {
    return bits >= 8 * (byte + 1) ? 0xFF
           : bits <= 8 * byte     ? 0
                                  : static_cast<uint8_t>(0xFF << (8 * (byte + 1) - bits));
}

Error BadNetwork(std::string_view text) {
    return Error(Code::kInvalidArgument, "match_address must not be \"" + std::string(text) + "\"",
                 "write a network as 10.0.0.0/8, one address as 10.1.2.3 or ::1, or the word local "
                 "for clients without an address; no bit may be set behind those that count");
}

bool EndsInEscape(std::string_view pattern) {
    const size_t last = pattern.find_last_not_of('\\');
    const size_t escapes = pattern.size() - (last == std::string_view::npos ? 0 : last + 1);
    return escapes % 2 == 1;
}

Result<void> CheckPatterns(const Rule& rule) {
    for (const auto& [name, pattern] : {std::pair("match_application", &rule.match_application),
                                        std::pair("match_user", &rule.match_user),
                                        std::pair("match_database", &rule.match_database)}) {
        if (pattern->is_cut()) {
            return Error(Code::kInvalidArgument,
                         std::string(name) + " must not be longer than 255 bytes",
                         "names have 63 at most; use % for a part");
        }
        if (EndsInEscape(*pattern)) {
            return Error(Code::kInvalidArgument,
                         std::string(name) + " must not end with its escape character",
                         "write two backslashes for one");
        }
    }
    return {};
}

Result<void> CheckNumbers(const Rule& rule) {
    if (rule.idle_for_ms < 0) {
        return Error(Code::kInvalidArgument, "idle_for must not be negative",
                     "give the time that a session may stay in the state");
    }
    if (rule.keep_at_least < 0) {
        return Error(Code::kInvalidArgument, "keep_at_least must not be negative",
                     "give how many sessions are to stay, 0 for none");
    }
    if (rule.max_per_minute != Rule::kNoLimit && rule.max_per_minute < 1) {
        return Error(Code::kInvalidArgument, "max_per_minute must not be below 1",
                     "leave it null for no limit, or switch the rule off with enabled");
    }
    if (rule.only_above_usage_ratio > 1) {
        return Error(Code::kInvalidArgument, "only_above_usage_ratio must be between 0 and 1",
                     "0.8 means: only while more than 80 % of the connections are used");
    }
    return {};
}

Result<void> CheckServerRule(const Rule& rule) {
    if (std::string_view(rule.name).empty() || rule.name.is_cut()) {
        return Error(Code::kInvalidArgument, "the name of a rule must have 1 to 63 bytes",
                     "clients whose session it ends see it in the message");
    }
    const bool is_active = rule.match_state == kActive;
    if (is_active && rule.action == RuleAction::kEnd) {
        return Error(Code::kInvalidArgument, "a running statement is never ended by a rule",
                     "use action cancel for state active, and another rule with action end for the "
                     "state idle in transaction (aborted) that follows");
    }
    if (!is_active && rule.action == RuleAction::kCancel) {
        return Error(Code::kInvalidArgument, "an idle session runs nothing that can be cancelled",
                     "use action log or end, or match_state active");
    }
    return {};
}

/// What SQLite has no means for is no rule there: it would stand in the table and never act.
Result<void> CheckSqliteRule(const Rule& rule) {
    if (!(rule.match_user == "%")) {
        return Error(Code::kInvalidArgument, "match_user must be % in SQLite",
                     "SQLite has no users; use match_application, the name of the process");
    }
    if (rule.match_address.family != Network::Family::kAny) {
        return Error(Code::kInvalidArgument, "match_address must be null in SQLite",
                     "connections of SQLite come from no address");
    }
    if (rule.only_above_usage_ratio >= 0) {
        return Error(Code::kInvalidArgument, "only_above_usage_ratio must be null in SQLite",
                     "SQLite has no limit of connections that a share could be taken of");
    }
    if (rule.action == RuleAction::kEnd && !(rule.match_state == kIdleInTransaction)) {
        return Error(
            Code::kInvalidArgument,
            rule.match_state == kIdle
                ? "an idle connection of SQLite is never ended: it holds nothing, and only its "
                  "owner can close it"
                : "a transaction that has been rolled back already is not ended again",
            "use match_state idle in transaction, or action log");
    }
    return {};
}

int Strength(RuleAction action) {
    return action == RuleAction::kEnd ? 2 : action == RuleAction::kCancel ? 1 : 0;
}

}  // namespace

Result<Network> ParseNetwork(std::string_view text) {
    if (text.empty()) {
        return Network{};
    }
    if (text == "local") {
        Network local;
        local.family = Network::Family::kLocal;
        return local;
    }
    const size_t slash = text.find('/');
    Network network = ReadAddress(text.substr(0, slash));
    if (network.family == Network::Family::kAny) {
        return BadNetwork(text);
    }
    if (slash != std::string_view::npos) {
        const std::optional<unsigned> bits = Number(text.substr(slash + 1), 10, network.bits);
        if (!bits || text.size() - slash > 4) {
            return BadNetwork(text);
        }
        network.bits = static_cast<uint8_t>(*bits);
    }
    for (unsigned i = 0; i < network.bytes.size(); ++i) {
        if ((network.bytes[i] & ~MaskOf(i, network.bits)) != 0) {
            return BadNetwork(text);
        }
    }
    return network;
}

bool Contains(const Network& network, const std::optional<std::string>& client_addr) {
    if (network.family == Network::Family::kAny) {
        return true;
    }
    if (!client_addr || network.family == Network::Family::kLocal) {
        return !client_addr && network.family == Network::Family::kLocal;
    }
    const Network address = ReadAddress(*client_addr);
    if (address.family != network.family) {
        return false;
    }
    for (unsigned i = 0; i < network.bytes.size(); ++i) {
        if ((address.bytes[i] & MaskOf(i, network.bits)) != network.bytes[i]) {
            return false;
        }
    }
    return true;
}

Result<uint8_t> ParseSpare(const std::vector<std::string>& words) {
    uint8_t bits = 0;
    for (const std::string& word : words) {
        const auto* const found =
            std::find_if(kSpareWords.begin(), kSpareWords.end(),
                         [&](const SpareWord& known) { return known.word == word; });
        if (found == kSpareWords.end()) {
            return Error(Code::kInvalidArgument, "spare must not hold \"" + word + "\"",
                         "use listening, session_lock, temp_table, held_cursor; an empty array "
                         "spares nothing");
        }
        bits |= found->bit;
    }
    return bits;
}

std::vector<std::string> SpareWords(uint8_t bits) {
    std::vector<std::string> words;
    for (const SpareWord& known : kSpareWords) {
        if ((bits & known.bit) != 0) {
            words.emplace_back(known.word);
        }
    }
    return words;
}

Result<RuleAction> ParseAction(std::string_view word) {
    for (const ActionName& known : kActions) {
        if (known.word == word) {
            return known.action;
        }
    }
    return Error(Code::kInvalidArgument, "action must not be \"" + std::string(word) + "\"",
                 "use log, cancel or end");
}

std::string_view ActionWord(RuleAction action) {
    for (const ActionName& known : kActions) {
        if (known.action == action) {
            return known.word;
        }
    }
    return "";
}

Result<void> CheckRule(const Rule& rule, RuleFor use) {
    const bool is_idle = std::find(kIdleStates.begin(), kIdleStates.end(),
                                   std::string_view(rule.match_state)) != kIdleStates.end();
    if (!is_idle && (use == RuleFor::kCall || rule.match_state != kActive)) {
        return Error(
            Code::kInvalidArgument,
            "match_state must not be " + std::string(std::string_view(rule.match_state)),
            use == RuleFor::kCall
                ? "use idle, idle in transaction or idle in transaction (aborted)"
                : "use idle, idle in transaction, idle in transaction (aborted) or active");
    }
    if (Result<void> checked = CheckNumbers(rule); !checked.ok()) {
        return checked;
    }
    if (Result<void> checked = CheckPatterns(rule); !checked.ok()) {
        return checked;
    }
    if (use == RuleFor::kCall) {
        return {};
    }
    const Result<void> checked = CheckServerRule(rule);
    return checked.ok() && use == RuleFor::kSqlite ? CheckSqliteRule(rule) : checked;
}

bool Like(std::string_view text, std::string_view pattern) {
    size_t t = 0;
    size_t p = 0;
    size_t star = std::string_view::npos;  // after the last %: where to take up again
    size_t star_text = 0;
    while (t < text.size() || p < pattern.size()) {
        if (p < pattern.size() && pattern[p] == '%') {
            star = ++p;
            star_text = t;
            continue;
        }
        if (p < pattern.size() && t < text.size()) {
            if (pattern[p] == '_') {
                t += CharacterBytes(text, t);
                ++p;
                continue;
            }
            const size_t literal = pattern[p] == '\\' && p + 1 < pattern.size() ? p + 1 : p;
            if (pattern[literal] == text[t]) {
                p = literal + 1;
                ++t;
                continue;
            }
        }
        if (star == std::string_view::npos || star_text >= text.size()) {
            return false;
        }
        star_text += CharacterBytes(text, star_text);  // let the last % take one character more
        t = star_text;
        p = star;
    }
    return true;
}

bool Names(std::string_view pattern, std::string_view name) {
    std::string plain;
    for (size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '%' || pattern[i] == '_') {
            return false;
        }
        if (pattern[i] == '\\' && i + 1 < pattern.size()) {
            ++i;
        }
        plain += pattern[i];
    }
    return plain == name;
}

bool MatchesWho(const SessionSnapshot& session, const Rule& rule) {
    return session.pid != 0 && Like(session.application_name, rule.match_application) &&
           Like(session.user_name.value_or(""), rule.match_user) &&
           Like(session.database_name.value_or(""), rule.match_database) &&
           Contains(rule.match_address, session.client_addr);
}

std::vector<size_t> Governing(const SessionSnapshot& session, const std::vector<Rule>& rules) {
    std::vector<size_t> found;
    const bool is_hidden = !session.is_visible && session.kind == SessionKind::kClient;
    for (size_t i = 0; i < rules.size(); ++i) {
        const Rule& rule = rules[i];
        if (!rule.enabled || !MatchesWho(session, rule) ||
            !(is_hidden || session.state == rule.match_state)) {
            continue;
        }
        if (!found.empty() && rules[found.front()].priority > rule.priority) {
            found.clear();
        }
        if (found.empty() || rules[found.front()].priority == rule.priority) {
            found.push_back(i);
        }
    }
    std::stable_sort(found.begin(), found.end(), [&](size_t a, size_t b) {
        const Rule& left = rules[a];
        const Rule& right = rules[b];
        if (left.action != right.action) {
            return Strength(left.action) > Strength(right.action);
        }
        if (left.idle_for_ms != right.idle_for_ms) {
            return left.idle_for_ms > right.idle_for_ms;
        }
        return std::string_view(left.name) < std::string_view(right.name);
    });
    return found;
}

}  // namespace upkeep::sessions
