// One rule about sessions, as plain bytes: a host may keep it in shared memory and judge with it in
// a signal handler. Not for: what becomes of a whole set of sessions (reap.h).
//
//   priority   of the rules whose match_… fit a session, those with the smallest number govern it;
//              the others do not see it. So a rule of its own shields an application
//   ladder     rules of one priority: the strongest action (end, cancel, log) whose every condition
//              holds is done; log and cancel once while the session stays in that state
//
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "upkeep/base/result.h"
#include "upkeep/sessions/session.h"

namespace upkeep::sessions {

/// Text in place. One that is too long is remembered as such and refused by CheckRule.
template <size_t kRoom>
class FixedText {
  public:
    constexpr FixedText(std::string_view text = {}) { *this = text; }
    constexpr FixedText& operator=(std::string_view text) {
        is_cut_ = text.size() > kRoom;
        size_ = static_cast<uint16_t>(std::min(text.size(), kRoom));
        std::copy_n(text.begin(), size_, data_.begin());
        return *this;
    }
    constexpr operator std::string_view() const { return {data_.data(), size_}; }
    constexpr bool is_cut() const { return is_cut_; }
    friend bool operator==(const FixedText& text, std::string_view other) {
        return std::string_view(text) == other;
    }

  private:
    uint16_t size_ = 0;
    bool is_cut_ = false;
    std::array<char, kRoom> data_ = {};
};

/// Where a client is, or a range of such places.
struct Network {
    enum class Family : uint8_t { kAny, kLocal, kIp4, kIp6 };
    Family family = Family::kAny;
    uint8_t bits = 0;  // that count, from the left
    std::array<uint8_t, 16> bytes = {};
};
/// `10.0.0.0/8`, `::1`, `local` (a client of this machine without an address), `` (any).
/// Errors: kInvalidArgument (no address, too many bits, bits set behind those that count).
Result<Network> ParseNetwork(std::string_view text);
/// An address that does not parse lies in no network but any; nullopt is local.
bool Contains(const Network& network, const std::optional<std::string>& client_addr);

/// What a session holds that makes a rule spare it; as bits.
enum Spare : uint8_t {
    kListening = 1,    // LISTEN
    kSessionLock = 2,  // an advisory lock that outlives its transaction
    kTempTable = 4,    // has made a temporary table
    kHeldCursor = 8,   // a cursor WITH HOLD
};
inline constexpr uint8_t kSpareAll = kListening | kSessionLock | kTempTable | kHeldCursor;
/// Errors: kInvalidArgument (a word that is none of these).
Result<uint8_t> ParseSpare(const std::vector<std::string>& words);
std::vector<std::string> SpareWords(uint8_t bits);

enum class RuleAction : uint8_t { kEnd, kCancel, kLog };
/// Errors: kInvalidArgument.
Result<RuleAction> ParseAction(std::string_view word);
std::string_view ActionWord(RuleAction action);

/// Patterns are LIKE patterns (`%`, `_`, backslash), case-sensitive.
struct Rule {
    static constexpr int64_t kNoLimit = -1;
    FixedText<63> name;
    int32_t priority = 100;
    bool enabled = true;
    FixedText<255> match_database = std::string_view("%");
    FixedText<255> match_user = std::string_view("%");
    FixedText<255> match_application = std::string_view("%");
    Network match_address;
    FixedText<40> match_state = kIdle;
    int64_t idle_for_ms = 600'000;
    bool only_blocking = false;          // only those that block others or hold back cleaning up
    double only_above_usage_ratio = -1;  // of the connections that may be open; below 0: always
    int64_t keep_at_least = 0;  // of the sessions that match but for state and age, so many stay
    int64_t max_per_minute = kNoLimit;  // actions of this rule
    RuleAction action = RuleAction::kEnd;
    uint8_t spare = 0;  // bits of Spare
};
static_assert(std::is_trivially_copyable_v<Rule>);

/// What a rule is for.
enum class RuleFor : uint8_t {
    kCall,    // reap_sessions: idle states only
    kServer,  // a row of reap_rules, where only what runs can be cancelled
    kSqlite,  // the same, without what SQLite has not: users, addresses, a limit of connections
};
/// Is the rule one that can be applied?
/// Errors: kInvalidArgument (a state that no rule may match, negative numbers, a pattern that ends
/// in its escape character, texts that are too long, an action that the state does not allow).
Result<void> CheckRule(const Rule& rule, RuleFor use = RuleFor::kCall);

/// LIKE as PostgreSQL does it: whole text, characters rather than bytes.
bool Like(std::string_view text, std::string_view pattern);
/// Has the pattern no wildcard, and is its text this name?
bool Names(std::string_view pattern, std::string_view name);

/// Database, user, application and address fit; the state is not looked at.
bool MatchesWho(const SessionSnapshot& session, const Rule& rule);

/// The rules that govern a session in its state, strongest action first, then the longest idle_for,
/// then the name. Of a session whose state is hidden: those that match but for the state.
std::vector<size_t> Governing(const SessionSnapshot& session, const std::vector<Rule>& rules);

}  // namespace upkeep::sessions
