#!/usr/bin/env bash
# Core unit tests under ASan+UBSan and the SQLite suite under ASan, in a build tree of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
# Instrumented, g++ 12 sees uninitialised members in <regex> where there are none.
cmake -S . -B build-asan -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS="-O1 -Wno-maybe-uninitialized" \
    -DUPKEEP_SANITIZE=address,undefined >/dev/null
make --no-print-directory -C build-asan -j"$(nproc)" all | grep -E 'error|warning' || true
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=detect_stack_use_after_return=1
build-asan/upkeep_unit --gtest_brief=1
UPKEEP_UNDER_ASAN=1 bash tests/sqlite/run.sh build-asan
