// upkeep itself: version, capabilities, settings.
// SPDX-License-Identifier: PostgreSQL
#include "calls.h"

namespace upkeep {

namespace {

constexpr Column kCapabilities[] = {
    {"feature", Type::kText, "what a user may want: a verb of the product"},
    {"available", Type::kBool, "does it work here and now"},
    {"tier", Type::kText, "how much of it: preloaded, loaded, created, best_effort"},
    {"reason", Type::kText, "why it is there or not, from what was found"},
    {"how_to_enable", Type::kText, "what to do to get it or more of it; NULL: nothing to do"},
};

constexpr Column kSettings[] = {
    {"name", Type::kText, "name of the setting, without prefix"},
    {"value", Type::kText, "current value"},
    {"unit", Type::kText, "unit of a bare number; NULL: none"},
    {"scope", Type::kText, "whom a change concerns: process or connection"},
    {"description", Type::kText, "what it does"},
};

constexpr Parameter kSet[] = {
    {"name", Type::kText, nullptr, "a name from upkeep_settings"},
    {"value", Type::kText, nullptr, "its new value, as text or number"},
};

constexpr TableFunction kCalls[] = {
    {.name = "version",
     .topic = "base",
     .kind = CallKind::kScalar,
     .hosts = Hosts::kBoth,
     .effect = Effect::kPure,
     .doc = "version of the library",
     .since = "0.1.0",
     .parameters = {},
     .columns = {},
     .returns = Type::kText},
    {.name = "capabilities",
     .topic = "base",
     .kind = CallKind::kView,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "what works here, how well, and what to do to get the rest",
     .since = "0.1.0",
     .parameters = {},
     .columns = kCapabilities},
    {.name = "settings",
     .topic = "base",
     .kind = CallKind::kView,
     .hosts = Hosts::kSqlite,
     .effect = Effect::kReads,
     .doc = "the settings and their values",
     .since = "0.1.0",
     .parameters = {},
     .columns = kSettings},
    {.name = "set",
     .topic = "base",
     .kind = CallKind::kScalar,
     .hosts = Hosts::kSqlite,
     .effect = Effect::kActs,
     .doc = "changes a setting; returns the value now in force",
     .since = "0.1.0",
     .parameters = kSet,
     .columns = {},
     .returns = Type::kText},
    {.name = "save",
     .topic = "base",
     .kind = CallKind::kScalar,
     .hosts = Hosts::kSqlite,
     .effect = Effect::kActs,
     .doc = "writes what this process captured of this database into the file <database>-upkeep",
     .since = "0.1.0",
     .parameters = {},
     .columns = {},
     .returns = Type::kVoid},
};

}  // namespace

std::span<const TableFunction> BaseCalls() {
    return kCalls;
}

}  // namespace upkeep
