#!/usr/bin/env bash
# Runs every suite of CI in turn and adds up what they counted. A suite's own output is shown whole
# where it fails and by its last lines where it passes. Ends with `N passed, N failed`.
# Usage: tests/run_suites.sh [SUITE …]; a suite is a make target.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

suites=("$@")
[ ${#suites[@]} -gt 0 ] ||
    suites=(lint check check-sqlite asan installcheck check-pgtap check-postgres check-parity check-scripts)
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# Sums of passed and failed tests in a log, by the closing lines of the runners we use.
count_results() {
    awk '
        /^\[  PASSED  \] [0-9]+ test/      { passed += $4 }
        /^ *[0-9]+ FAILED TESTS?$/         { failed += $1 }
        /^All [0-9]+ tests passed/         { passed += $2 }
        /^ ?[0-9]+ of [0-9]+ tests failed/ { failed += $1; passed += $3 - $1 }
        /^Files=[0-9]+, Tests=[0-9]+/      { split($2, t, /[=,]/); passed += t[2] }
        /^ *([a-z]+: )?[0-9]+ passed, [0-9]+ failed/ {
            sub(/^ *[a-z]+: /, ""); passed += $1; failed += $3
        }
        END { print passed + 0, failed + 0 }' "$1"
}

total_passed=0
total_failed=0
for suite in "${suites[@]}"; do
    log="$logs/$suite.log"
    start=$SECONDS
    printf '== %s … ' "$suite"
    if make --no-print-directory "$suite" >"$log" 2>&1 </dev/null; then ok=1; else ok=0; fi
    read -r passed failed < <(count_results "$log")
    # A runner that ends badly without counting its failure is a failure all the same.
    [ "$ok" -eq 1 ] || [ "$failed" -gt 0 ] || failed=1
    # A suite that counts nothing is one check: it passed or it did not.
    [ "$ok" -eq 0 ] || [ $((passed + failed)) -gt 0 ] || passed=1
    printf '%s passed, %s failed (%s s)\n' "$passed" "$failed" $((SECONDS - start))
    if [ "$failed" -gt 0 ]; then
        sed 's/^/    /' "$log" | tail -n 400
    fi
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
done
printf '%s passed, %s failed\n' "$total_passed" "$total_failed"
[ "$total_failed" -eq 0 ]
