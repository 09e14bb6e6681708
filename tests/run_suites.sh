#!/usr/bin/env bash
# Runs every suite of CI in turn and adds up what they counted. Of a suite that fails the lines that
# say why are shown, 60 at most: CI keeps only so much output, and an early failure must not be lost
# in the chatter of a later one. `make SUITE` shows everything. Ends with `N passed, N failed`.
# Usage: tests/run_suites.sh [SUITE …]; a suite is a make target.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

suites=("$@")
[ ${#suites[@]} -gt 0 ] ||
    suites=(lint check check-sqlite asan installcheck check-pgtap check-postgres check-sqlalchemy check-parity check-scripts)
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

# What went wrong according to a log: compiler errors, failed cases with what follows them, and the
# end, where a runner sums up. $1: log, $2: lines at most
show_failure() {
    local log=$1 most=$2 lines
    lines=$(wc -l <"$log")
    if [ "$lines" -le "$most" ]; then
        cat "$log"
    else
        awk -v most=$((most - 12)) -v until=$((lines - 10)) '
            /^(FAIL|ERROR|FAILED|not ok|lint: )|^ *#? *Failed|: (fatal )?error[: ]|: Failure$|^\[  FAILED|\*\*\* |^E  |\.\.\. FAILED/ ||
                /^(.*Error|psql.*ERROR|ERROR|FATAL|PANIC|.*Sanitizer|.*AssertionError)[: ]/ || /runtime error:|expected to (pass|fail):/ {
                left = 8
            }
            NR <= until && left-- > 0 && shown < most { print; ++shown }
            END { print "… " until - shown " lines more; the end:" }' "$log"
        tail -n 10 "$log"
    fi | cut -c1-240 | sed 's/^/    /'
}

total_passed=0
bad_suites=()
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
        show_failure "$log" 60
        bad_suites+=("$suite")
    fi
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
done
[ ${#bad_suites[@]} -eq 0 ] || echo "failed: ${bad_suites[*]}; run one alone with make SUITE"
echo "all suites: $SECONDS s"
printf '%s passed, %s failed\n' "$total_passed" "$total_failed"
[ "$total_failed" -eq 0 ]
