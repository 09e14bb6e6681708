// What the reaper's worker, the sessions it asks and whoever reads its rules share: a block of
// shared memory with three parts.
//
//   records  one per action, made by the worker BEFORE it asks a session, so that nothing is done
//            that the log will not tell; freed when the row is committed. A worker that takes over
//            finds them as its predecessor left them
//   rules    as the worker last read them, for readers in any database
//   header   which process is the worker, how often rules were written, what an earlier crash lost
//
// Not for: deciding, and the log's table.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "upkeep/sessions/rule.h"

namespace upkeep::pg {

size_t ReapSharedBytes();
void AttachReapShared(void* block, bool found);
/// Is the block there? Only where upkeep is preloaded.
bool HasReapShared();

/// What one row of the log says. Times as the server counts them.
struct ActionFacts {
    int64_t at;
    int64_t started;  // of the session
    int64_t state_since;
    double state_ms;
    int64_t blocked_count;  // -1: not known
    int pid;
    sessions::RuleAction action;
    bool has_address;
    bool has_query;
    sessions::FixedText<63> rule;
    sessions::FixedText<63> user_name;
    sessions::FixedText<63> application_name;
    sessions::FixedText<63> client_addr;
    sessions::FixedText<31> state;
    sessions::FixedText<511> last_query;  // masked
    sessions::FixedText<191> because;
};

enum class RecordStage : uint32_t { kFree, kTaken, kAsked, kDone };

/// Of these whoever took it (the worker, or the caller of end_session and reap_sessions) writes
/// everything but `answer`; the worker alone frees.
struct ActionRecord {
    std::atomic<RecordStage> stage;
    // Whose answer is expected, then that answer: see doorbell.cpp. A late one finds another word.
    std::atomic<uint64_t> answer;
    int slot;       // of the session that was asked
    uint64_t word;  // of the order
    ActionFacts facts;
    sessions::FixedText<127> outcome;  // of kDone; what came of it, before `because`
};

inline constexpr int kRecords = 1024;
ActionRecord& RecordAt(int index);

/// The worker's latch, if there is a worker. Safe in a signal handler.
void WakeReaper();
/// This process is the worker, until it exits.
void BecomeReaper();

/// Rules were written and that is committed.
void RulesChanged();
uint64_t RulesVersion();

/// What no log can tell any more because shared memory was lost.
enum class LogGap : uint32_t { kNone, kRestart, kDisorder };
void SetLogGap(LogGap gap);
LogGap CurrentLogGap();

/// The rules in force; `is_on` false: none are.
inline constexpr size_t kMostRules = 100;
void PublishRules(const std::vector<sessions::Rule>& rules, bool is_on);
bool IsReaperOn();
/// A whole state of them.
std::vector<sessions::Rule> RulesInForce();

}  // namespace upkeep::pg
