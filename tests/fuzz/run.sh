#!/usr/bin/env bash
# Builds every libFuzzer target with clang and runs each FUZZ_SECONDS (default 60), or FUZZ_RUNS
# executions where that is set, on inputs of at most FUZZ_MAX_LEN bytes (default 4096). A finding is
# left in build-fuzz/ and fails the run. Usage: run.sh [TARGET …], default: all.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CC=clang CXX=clang++
cmake -S . -B build-fuzz -DCMAKE_BUILD_TYPE=RelWithDebInfo -DUPKEEP_FUZZ=ON \
    -DUPKEEP_TESTS=OFF -DUPKEEP_SANITIZE=address,undefined >/dev/null
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.cpp; do
        targets+=("$(basename "$source" .cpp)")
    done
fi
limit=(-max_total_time="${FUZZ_SECONDS:-60}")
[ -z "${FUZZ_RUNS:-}" ] || limit=(-runs="$FUZZ_RUNS")
passed=0
failed=0
for name in "${targets[@]}"; do
    make --no-print-directory -C build-fuzz -j"${JOBS:-$(nproc)}" "$name" | tail -n 1
    dictionary=()
    [ ! -e "tests/fuzz/dictionaries/$name.dict" ] || dictionary=("-dict=tests/fuzz/dictionaries/$name.dict")
    mkdir -p "build-fuzz/corpus/$name"
    if "build-fuzz/$name" "${limit[@]}" "${dictionary[@]}" -max_len="${FUZZ_MAX_LEN:-4096}" \
        -print_final_stats=1 -artifact_prefix="build-fuzz/" "build-fuzz/corpus/$name" 2>&1 |
        tail -n 12; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
