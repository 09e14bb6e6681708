// A stand-in for the core: knows no host, holds objects with destructors while its port runs.
// SPDX-License-Identifier: PostgreSQL
#include "error_path.h"

#include <vector>

long live_objects = 0;

int CoreWork(Port& port) {
    std::vector<Counted> held(10);  // 10 kB that leak if a destructor is skipped
    int sum = 0;
    for (int i = 0; i < 100000000; ++i) {
        sum += port.Step(i);
    }
    return sum;
}
