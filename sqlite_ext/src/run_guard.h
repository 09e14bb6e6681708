// Running a text of the caller's on a connection of our own: what it may do there, and how it is
// stopped. For explain_statement(run => 1) and verify_indexes.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <string>

#include "stmt.h"
#include "upkeep/advisor/what_if.h"

namespace upkeep::sqlite {

inline constexpr int kStepsBetweenLooks = 5000;  // VM steps, about 50 us
inline constexpr const char* kLeaveRunOut =
    "leave run out: the plan alone is made without running the statement";

/// Monotonic.
double NowMs();

/// Why a run was stopped from outside.
struct Watch {
    advisor::WhatIf& port;
    double ends_at_ms;
    bool is_over = false;
    bool is_cancelled = false;
};
/// A progress handler over a Watch.
int Look(void* watch) noexcept;

/// What a text may do on our connection.
struct Permit {
    std::map<std::string, bool> functions;  // lower-case name -> may be called
    std::string refused;                    // what was not permitted
    bool is_connecting = false;             // virtual tables declare themselves
};

/// An authorizer over a Permit: reading, and functions that only look.
int Authorize(void* permit, int action, const char* first, const char* second, const char* third,
              const char* fourth) noexcept;

/// Functions by name: what SQLite itself brings and does not keep for direct use, what is declared
/// innocuous, and what full-text search adds to its tables.
std::map<std::string, bool> ReadFunctions(sqlite3* db);
/// Are all kinds of virtual tables here SQLite's own? One of somebody else's may do anything.
bool HasOwnModulesOnly(sqlite3* db);

/// A connection of our own to a database file, to read it.
PrivateConnection OpenFile(const std::string& path);
/// The same to all files of the caller's connection, under his names. Throws Error.
PrivateConnection OpenReadOnly(sqlite3* db);

/// Why the text does not prepare here although it does on the caller's connection.
Error Refusal(const Error& error, const Permit& permit);

}  // namespace upkeep::sqlite
