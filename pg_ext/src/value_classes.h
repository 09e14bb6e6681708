// How many rows the keys of an index share: classes of keys with equally many rows, from the
// classes of its columns' values taken as independent, unless the statistics know better. C-like:
// may raise (memory), so call it inside CallHost. SPDX-License-Identifier: PostgreSQL
#pragma once

#include "key_facts.h"

namespace upkeep::pg {

struct KeyClass {
    double values;   // keys of this class, those that have no row after all included
    double rows;     // that one of them is expected to have
    double trials;   // they are a chance share of so many rows; 0: of very many
    bool by_chance;  // how many rows a key has is chance; else all have as many as expected
};

/// `combined`: distinct keys, known from extended statistics; 0: not known.
PlainArray<KeyClass> KeyClasses(const KeyFacts* keys, int count, double rows, double combined);

}  // namespace upkeep::pg
