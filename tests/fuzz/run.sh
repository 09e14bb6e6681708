#!/usr/bin/env bash
# Builds every libFuzzer target with clang and runs each FUZZ_SECONDS (default 60), or FUZZ_RUNS
# executions where that is set. A finding is left in build-fuzz/ and fails the run.
set -euo pipefail
cd "$(dirname "$0")/../.."
CC=clang CXX=clang++ cmake -S . -B build-fuzz -DCMAKE_BUILD_TYPE=RelWithDebInfo -DUPKEEP_FUZZ=ON \
    -DUPKEEP_TESTS=OFF -DUPKEEP_SANITIZE=address,undefined >/dev/null
passed=0
failed=0
for source in tests/fuzz/fuzz_*.cpp; do
    name=$(basename "$source" .cpp)
    make --no-print-directory -C build-fuzz -j"$(nproc)" "$name" | tail -n 1
    limit=(-max_total_time="${FUZZ_SECONDS:-60}")
    [ -z "${FUZZ_RUNS:-}" ] || limit=(-runs="$FUZZ_RUNS")
    dictionary=()
    [ ! -e "tests/fuzz/dictionaries/$name.dict" ] || dictionary=("-dict=tests/fuzz/dictionaries/$name.dict")
    mkdir -p "build-fuzz/corpus/$name"
    if "build-fuzz/$name" "${limit[@]}" "${dictionary[@]}" -max_len=4096 -print_final_stats=1 \
        -artifact_prefix="build-fuzz/" "build-fuzz/corpus/$name" 2>&1 | tail -n 12; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
