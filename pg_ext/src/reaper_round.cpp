// SPDX-License-Identifier: PostgreSQL
#include "reaper_round.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>

#include "compat.h"
#include "doorbell.h"
#include "guard.h"
#include "reaper_log.h"
#include "reaper_look.h"
#include "settings.h"

extern "C" {
#include "pgstat.h"
#include "utils/snapmgr.h"
}

namespace upkeep::pg {

namespace {

using sessions::Decision;
using sessions::PastAction;
using sessions::Rule;
using sessions::RuleAction;
using sessions::SessionSnapshot;
using sessions::Verdict;

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr int64_t kLeavingUs = 5'000'000;  // a client that does not read may hold its session up
constexpr int64_t kBetweenLooksUs = 20'000;
constexpr int64_t kBetweenWritesUs = 200'000;
constexpr int64_t kMinuteUs = 60'000'000;
constexpr int64_t kHalfFactor = 10;  // so many times idle_for ends who never sends the other half

/// A session that refused, in a state; it is not asked again at once, nor is that logged twice.
struct Refusal {
    int pid;
    int64_t started;
    int64_t state_since;
    std::string rule;
    std::string why;
    int64_t ask_after;
};

/// What the worker remembers between rounds. Times as the server counts them.
struct Memory {
    std::vector<PastAction> past;
    std::vector<Refusal> refusals;
    uint64_t version = 0;
    int64_t next_look = 0;
    int64_t next_write = 0;
    bool has_looked = false;
    bool is_installed = true;
    std::vector<std::string> skipped;
};

Memory& Remembered() {
    static Memory* memory = new Memory;  // lives as long as the process
    return *memory;
}

int64_t IntervalUs() {
    return int64_t{settings.reaper_interval_s} * 1'000'000;
}

bool IsSame(const PastAction& past, const ActionFacts& facts) {
    return past.pid == facts.pid && past.started_us == facts.started + kPostgresEpochUs &&
           past.state_since_us == facts.state_since + kPostgresEpochUs &&
           facts.rule == std::string_view(past.rule);
}

bool IsSame(const Refusal& refusal, const ActionFacts& facts) {
    return refusal.pid == facts.pid && refusal.started == facts.started &&
           refusal.state_since == facts.state_since && facts.rule == std::string_view(refusal.rule);
}

// --- what came of it ----------------------------------------------------------------------------

/// False: known already, nothing new to log.
bool NoteRefusal(const ActionFacts& facts, const char* why, int64_t now) {
    Memory& memory = Remembered();
    std::erase_if(memory.past, [&](const PastAction& past) { return IsSame(past, facts); });
    const auto known = std::find_if(memory.refusals.begin(), memory.refusals.end(),
                                    [&](const Refusal& one) { return IsSame(one, facts); });
    if (known == memory.refusals.end()) {
        memory.refusals.push_back({facts.pid, facts.started, facts.state_since,
                                   std::string(std::string_view(facts.rule)), why,
                                   now + IntervalUs()});
        return true;
    }
    const bool is_new = known->why != why;
    known->why = why;
    known->ask_after = now + IntervalUs();
    return is_new;
}

void Refused(ActionRecord& record, const char* why, int64_t now) {
    if (NoteRefusal(record.facts, why, now)) {
        FinishRecord(record, "refused", why);
    } else {
        record.stage.store(RecordStage::kFree);
    }
}

void Collect(int index, RoundKind kind, int64_t now) {
    ActionRecord& record = RecordAt(index);
    const Asking asking = {record.slot, record.word};
    const bool is_last = kind == RoundKind::kLast;
    const bool is_cancel = record.facts.action == RuleAction::kCancel;
    Reply reply = ReplyOf(asking, index);
    if (reply.stage == Reply::Stage::kNone && (is_last || now > record.facts.at + kPatienceUs)) {
        if (Withdraw(asking)) {
            Refused(record,
                    is_last ? "the reaper was stopped" : "it did not answer within a second", now);
            return;
        }
        reply = ReplyOf(asking, index);
    }
    switch (reply.stage) {
        case Reply::Stage::kNone:
            break;
        case Reply::Stage::kYes:
            if (is_last || now > record.facts.at + kLeavingUs) {
                FinishRecord(record, "ended", "");
            }
            break;
        case Reply::Stage::kGone:
            FinishRecord(record, is_cancel ? "cancelled" : "ended", "");
            break;
        case Reply::Stage::kNo:
            Refused(record, reply.why, now);
            break;
    }
}

/// True: somebody has yet to answer.
bool CollectAll(RoundKind kind, int64_t now) {
    bool is_waiting = false;
    for (int i = 0; i < kRecords; ++i) {
        if (RecordAt(i).stage.load() == RecordStage::kAsked) {
            Collect(i, kind, now);
            is_waiting = is_waiting || RecordAt(i).stage.load() == RecordStage::kAsked;
        }
    }
    return is_waiting;
}

// --- a look -------------------------------------------------------------------------------------

BackendState StateOf(const SessionSnapshot& session) {
    return session.state == sessions::kIdle                ? STATE_IDLE
           : session.state == sessions::kIdleInTransaction ? STATE_IDLEINTRANSACTION
           : session.state == sessions::kAborted           ? STATE_IDLEINTRANSACTION_ABORTED
           : session.state == sessions::kActive            ? STATE_RUNNING
                                                           : STATE_UNDEFINED;
}

EndOrder OrderFor(const SessionSnapshot& session, const Rule& rule, int64_t now_us) {
    EndOrder order = {};
    order.started = session.started_us - kPostgresEpochUs;
    order.state_change = session.state_change_us - kPostgresEpochUs;
    order.state = StateOf(session);
    order.asked_by = MyProcPid;
    order.activity_start = session.query_start_us - kPostgresEpochUs;
    order.action = rule.action;
    order.spare = rule.spare;
    order.despite_half = now_us - session.state_change_us >
                         kHalfFactor * std::max<int64_t>(rule.idle_for_ms, 1000) * 1000;
    order.rule = rule.name;
    return order;
}

/// Sessions that have yet to answer.
std::set<int64_t> AskedPids() {
    std::set<int64_t> asked;
    for (int i = 0; i < kRecords; ++i) {
        if (RecordAt(i).stage.load() == RecordStage::kAsked) {
            asked.insert(RecordAt(i).facts.pid);
        }
    }
    return asked;
}

bool IsPutOff(const SessionSnapshot& session, const Rule& rule, int64_t now_us) {
    const std::vector<Refusal>& refusals = Remembered().refusals;
    return std::any_of(refusals.begin(), refusals.end(), [&](const Refusal& one) {
        return one.pid == session.pid && one.started + kPostgresEpochUs == session.started_us &&
               one.state_since + kPostgresEpochUs == sessions::StateSinceUs(session) &&
               rule.name == std::string_view(one.rule) && now_us < one.ask_after + kPostgresEpochUs;
    });
}

void NotePast(const SessionSnapshot& session, const Rule& rule, int64_t now_us) {
    Remembered().past.push_back({std::string(std::string_view(rule.name)), now_us, session.pid,
                                 session.started_us, sessions::StateSinceUs(session)});
}

/// True: it has to be tried again.
bool Act(const SessionSnapshot& session, const Rule& rule, const Decision& decision,
         int64_t now_us) {
    if (IsPutOff(session, rule, now_us)) {
        return true;
    }
    const ActionFacts facts = FactsOf(session, rule, decision, now_us);
    const int place = TakeRecord(facts);
    if (place < 0) {
        return true;  // nothing is done that cannot be logged
    }
    NotePast(session, rule, now_us);
    ActionRecord& record = RecordAt(place);
    if (decision.verdict == Verdict::kLog) {
        FinishRecord(record, "logged", "");
        return false;
    }
    EndOrder order = OrderFor(session, rule, now_us);
    order.record = place;
    Asking asking;
    const int pid = facts.pid;
    Asking* const asking_at = &asking;
    record.stage.store(RecordStage::kAsked);
    record.word = 0;
    if (!CallHost([=] { return Ask(pid, order, asking_at); })) {
        Refused(record, "it is ending, or somebody else asks it to", facts.at);
        return true;
    }
    record.slot = asking.slot;
    record.word = asking.word;
    return false;
}

/// Past actions of the last minute, and of sessions that are as they were.
void ForgetOld(const std::vector<SessionSnapshot>& sessions, int64_t now_us) {
    const auto is_gone = [&](int64_t pid, int64_t started_us, int64_t since_us) {
        return std::none_of(sessions.begin(), sessions.end(), [&](const SessionSnapshot& session) {
            return session.pid == pid && session.started_us == started_us &&
                   sessions::StateSinceUs(session) == since_us;
        });
    };
    Memory& memory = Remembered();
    std::erase_if(memory.past, [&](const PastAction& past) {
        return past.at_us < now_us - kMinuteUs &&
               is_gone(past.pid, past.started_us, past.state_since_us);
    });
    std::erase_if(memory.refusals, [&](const Refusal& one) {
        return is_gone(one.pid, one.started + kPostgresEpochUs, one.state_since + kPostgresEpochUs);
    });
}

void Tell(const std::string& message, const std::string& hint) {
    const char* message_data = message.c_str();
    const char* hint_data = hint.c_str();
    CallHostVoid([=] { ereport(LOG, (errmsg("%s", message_data), errhint("%s", hint_data))); });
}

void TellOnce(const RulesRead& read) {
    Memory& memory = Remembered();
    if (!read.is_installed && memory.is_installed) {
        Tell("upkeep's reaper finds no rules: the extension is not installed in database " +
                 std::string(settings.database),
             "CREATE EXTENSION upkeep in that database, or set upkeep.database.");
    }
    memory.is_installed = read.is_installed;
    for (const std::string& why : read.skipped) {
        if (std::find(memory.skipped.begin(), memory.skipped.end(), why) == memory.skipped.end()) {
            Tell("upkeep's reaper skips a rule: " + why,
                 "It was not checked as it was written: UPDATE it.");
        }
    }
    memory.skipped = read.skipped;
}

void Look() {
    Memory& memory = Remembered();
    memory.version = RulesVersion();
    if (!memory.has_looked) {
        memory.past = PastOfLog();
    }
    memory.has_looked = true;
    const RulesRead read = ReadRules();
    TellOnce(read);
    PublishRules(read.rules, true);
    int64_t now_us = 0;
    const std::vector<SessionSnapshot> sessions = SessionsForReaper(&now_us);
    ForgetOld(sessions, now_us);
    sessions::Situation situation;
    situation.now_us = now_us;
    situation.most = MaxConnections;
    situation.used = std::count_if(sessions.begin(), sessions.end(), [](const auto& session) {
        return session.kind == sessions::SessionKind::kClient;
    });
    situation.past = memory.past;
    const std::set<int64_t> asked = AskedPids();
    bool look_again = false;
    for (const Decision& decision : sessions::Decide(sessions, read.rules, situation)) {
        const bool acts = decision.verdict == Verdict::kEnd ||
                          decision.verdict == Verdict::kCancel || decision.verdict == Verdict::kLog;
        const SessionSnapshot& session = sessions[decision.session];
        const bool try_again = acts && (asked.count(session.pid) > 0 ||
                                        Act(session, read.rules[decision.rule], decision, now_us));
        look_again = look_again || decision.look_again || try_again;
    }
    const int64_t due_us = sessions::NextLookUs(sessions, read.rules, now_us);
    const int64_t again_us = look_again ? now_us + IntervalUs() : kNever;
    const int64_t next_us = std::max(std::min(due_us, again_us), now_us + kBetweenLooksUs);
    memory.next_look = next_us == kNever ? kNever : next_us - kPostgresEpochUs;
}

// --- transactions -------------------------------------------------------------------------------

MemoryContext round_memory = nullptr;

void Begin() {
    CallHostVoid([] {
        round_memory = CurrentMemoryContext;
        SetCurrentStatementStartTimestamp();
        StartTransactionCommand();
        PushActiveSnapshot(GetTransactionSnapshot());
    });
}

void Commit() {
    CallHostVoid([] {
        PopActiveSnapshot();
        CommitTransactionCommand();
        pgstat_report_stat(false);
        MemoryContextSwitchTo(round_memory);
    });
}

void Write(int64_t now) {
    Remembered().next_write = now + kBetweenWritesUs;
    Begin();
    const bool is_there = CallHost([] { return IsOwnTable("reap_log_rows"); });
    const std::vector<int> written = is_there ? WriteLog() : std::vector<int>();
    Commit();
    if (is_there) {
        FreeRecords(written);
    } else {
        Remembered().next_write = now + IntervalUs();
    }
}

}  // namespace

long RunRound(RoundKind kind) {
    Memory& memory = Remembered();
    int64_t now = GetCurrentTimestamp();
    const bool is_last = kind == RoundKind::kLast;
    bool is_waiting = CollectAll(kind, now);
    if (!is_last &&
        (!memory.has_looked || memory.version != RulesVersion() || now >= memory.next_look)) {
        memory.next_look = now + IntervalUs();  // should this one fail
        Begin();
        Look();
        Commit();
        is_waiting = CollectAll(kind, GetCurrentTimestamp());
    }
    now = GetCurrentTimestamp();
    const bool has_rows = HasFinishedRecords() || CurrentLogGap() != LogGap::kNone;
    if (has_rows && (is_last || now >= memory.next_write)) {
        Write(now);
    }
    if (is_last) {
        PublishRules({}, false);
    }
    int64_t next = memory.next_look;
    next = is_waiting ? std::min(next, now + kPatienceUs) : next;
    next = HasFinishedRecords() || CurrentLogGap() != LogGap::kNone
               ? std::min(next, memory.next_write)
               : next;
    constexpr int64_t kMostUs = int64_t{3600} * 1'000'000;
    const int64_t wait_us = std::clamp<int64_t>(next == kNever ? kMostUs : next - now, 0, kMostUs);
    return static_cast<long>(wait_us / 1000 + 1);
}

}  // namespace upkeep::pg
