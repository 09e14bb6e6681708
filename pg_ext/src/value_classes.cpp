// SPDX-License-Identifier: PostgreSQL
#include "value_classes.h"

#include <algorithm>
#include <cmath>

namespace upkeep::pg {

namespace {

// Classes are put together where rows per key differ by less than this factor.
constexpr double kStep = 1.3;
constexpr int kSteps = 128;
// Up to so many rows of a column's value, its share-out among others' is exact.
constexpr int kTrials = 30;
// Two columns that both follow the table's order follow each other.
constexpr double kTogether = 0.99;

int StepOf(double frequency) {
    return std::clamp(static_cast<int>(-std::log(frequency) / std::log(kStep)), 0, kSteps - 1);
}

int TrialsOf(double rows) {
    const double whole = std::round(rows);
    return whole > kTrials ? 0 : std::max(static_cast<int>(whole), 1);
}

/// Classes by step of frequency and by trials; frequencies are averages within one.
struct Table {
    double values[kSteps][kTrials + 1];
    double mass[kSteps][kTrials + 1];
};

void Put(double frequency, double values, int trials, Table* table) {
    if (frequency > 0 && values > 0) {
        const int step = StepOf(frequency);
        table->values[step][trials] += values;
        table->mass[step][trials] += values * frequency;
    }
}

Table* Empty() {
    return static_cast<Table*>(palloc0(sizeof(Table)));
}

struct Cell {
    double values;
    double frequency;
    int trials;
};

PlainArray<Cell> CellsOf(const Table& table) {
    PlainArray<Cell> cells;
    for (int step = 0; step < kSteps; ++step) {
        for (int trials = 0; trials <= kTrials; ++trials) {
            const double values = table.values[step][trials];
            if (values > 0) {
                *cells.Add() = {values, table.mass[step][trials] / values, trials};
            }
        }
    }
    return cells;
}

Table* Joined(const Table& left, const KeyFacts& column, double rows) {
    Table* joined = Empty();
    Table* right = Empty();  // few classes instead of a hundred common values
    for (int i = 0; i < column.classes.count; ++i) {
        const ValueClass& one = column.classes.items[i];
        Put(one.frequency, one.values, TrialsOf(one.frequency * rows), right);
    }
    const PlainArray<Cell> left_cells = CellsOf(left);
    const PlainArray<Cell> right_cells = CellsOf(*right);
    for (int a = 0; a < left_cells.count; ++a) {
        for (int b = 0; b < right_cells.count; ++b) {
            const Cell& one = left_cells.items[a];
            const Cell& other = right_cells.items[b];
            const int trials = one.trials == 0     ? other.trials
                               : other.trials == 0 ? one.trials
                                                   : std::min(one.trials, other.trials);
            Put(one.frequency * other.frequency, one.values * other.values, trials, joined);
        }
    }
    pfree(right);
    return joined;
}

PlainArray<KeyClass> OneColumn(const KeyFacts& column, double rows) {
    PlainArray<KeyClass> classes;
    for (int i = 0; i < column.classes.count; ++i) {
        const ValueClass& one = column.classes.items[i];
        // No key without a row.
        const double values =
            std::min(one.values, std::max(one.values * one.frequency * rows, 1.0));
        *classes.Add() = {values, one.frequency * one.values * rows / values, 0, false};
    }
    return classes;
}

PlainArray<KeyClass> Even(double keys, double rows) {
    PlainArray<KeyClass> classes;
    keys = std::clamp(keys, 1.0, std::max(rows, 1.0));
    *classes.Add() = {keys, rows / keys, 0, false};
    return classes;
}

}  // namespace

PlainArray<KeyClass> KeyClasses(const KeyFacts* keys, int count, double rows, double combined) {
    if (count == 1) {
        return OneColumn(keys[0], rows);
    }
    if (combined > 0) {
        return Even(combined, rows);
    }
    // Of columns that follow the table's order the one with the most values stands for all.
    const KeyFacts* ordered = nullptr;
    for (int i = 0; i < count; ++i) {
        if (std::fabs(keys[i].correlation) >= kTogether &&
            (ordered == nullptr || keys[i].distinct > ordered->distinct)) {
            ordered = &keys[i];
        }
    }
    Table* table = Empty();
    Put(1, 1, 0, table);
    int joined = 0;
    for (int i = 0; i < count; ++i) {
        if (std::fabs(keys[i].correlation) < kTogether || &keys[i] == ordered) {
            Table* next = Joined(*table, keys[i], rows);
            pfree(table);
            table = next;
            ++joined;
        }
    }
    PlainArray<KeyClass> classes;
    const PlainArray<Cell> cells = CellsOf(*table);
    for (int i = 0; i < cells.count; ++i) {
        const Cell& cell = cells.items[i];
        const double expected = cell.frequency * rows;
        // A value of one row has that one, whatever else the key holds.
        *classes.Add() = {cell.values, expected, static_cast<double>(cell.trials),
                          joined > 1 && (cell.trials == 0 || expected < cell.trials)};
    }
    pfree(table);
    return classes;
}

}  // namespace upkeep::pg
