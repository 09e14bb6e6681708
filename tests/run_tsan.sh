#!/usr/bin/env bash
# Capture in SQLite under ThreadSanitizer, in a build tree of its own (clang: g++ warns of every
# fence). SQLite itself is not instrumented: its locks are seen, its memory is not.
#
# ThreadSanitizer does not model fences. The only ones, in slow_ring.cpp, order words that are all
# atomic, so no report can come from there and none is suppressed; that the order holds is what the
# unit tests of the ring look at. Usage: run_tsan.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
cmake -S . -B build-tsan -DCMAKE_CXX_COMPILER=clang++ -DUPKEEP_SANITIZE=thread >/dev/null
make --no-print-directory -C build-tsan -j"${JOBS:-$(nproc)}" upkeep_sqlite upkeep_threads_test | grep -E 'error|warning' || true
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp second_deadlock_stack=1 ${TSAN_OPTIONS:-}"
build-tsan/upkeep_threads_test build-tsan/upkeep.so "${1:-20}"
