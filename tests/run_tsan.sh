#!/usr/bin/env bash
# Capture in SQLite under ThreadSanitizer, in a build tree of its own. SQLite itself is not
# instrumented: its locks are seen, its memory is not. Usage: run_tsan.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
# g++ does not model fences: it warns where slow_ring.cpp orders a record's version with them.
cmake -S . -B build-tsan -DCMAKE_CXX_FLAGS=-Wno-tsan -DUPKEEP_SANITIZE=thread >/dev/null
make --no-print-directory -C build-tsan -j"${JOBS:-$(nproc)}" upkeep_sqlite upkeep_threads_test | grep -E 'error|warning' || true
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp second_deadlock_stack=1 ${TSAN_OPTIONS:-}"
build-tsan/upkeep_threads_test build-tsan/upkeep.so "${1:-20}"
