#!/usr/bin/env bash
# Format check, clang-tidy on the core and the SQLite module, shellcheck. Usage: lint.sh BUILD_DIR
# clang-tidy skips files that are unchanged since they were last found clean (stamps in
# BUILD_DIR/tidy, named after everything that could change the verdict); a clean clone has none, so
# CI reads every file. Ends with `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
build=${1:-build}
passed=0
failed=0
report() { # $1: name, $2: exit code
    if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "lint: $1 failed"
    fi
}

git ls-files --error-unmatch VERSION >/dev/null || exit 1 # no list of files, nothing to read

mapfile -t sources < <(git ls-files -co --exclude-standard '*.cpp' '*.h' '*.c')
clang-format --dry-run -Werror "${sources[@]}"
report clang-format $?

mapfile -t shells < <(git ls-files -co --exclude-standard | while read -r file; do
    head -c 32 "$file" 2>/dev/null | grep -qaE '^#!.*\b(ba)?sh\b' && echo "$file"
done)
shellcheck "${shells[@]}"
report shellcheck $?

# clang does not know g++'s -fno-gnu-unique: it reads a copy of the commands without it.
tidy=$build/tidy
mkdir -p "$tidy"
make --no-print-directory BUILD="$build" "$build/Makefile" >"$tidy/configure.log" 2>&1 &&
    cmake -S . -B "$build" >"$tidy/configure.log" 2>&1 && # finds sources that are new
    sed 's/ -fno-gnu-unique//g' "$build/compile_commands.json" >"$tidy/compile_commands.json"
code=$?
[ "$code" -eq 0 ] || cat "$tidy/configure.log"
report 'cmake (for clang-tidy)' "$code"

# The analyzer's own default of 225,000 nodes a function doubles the time: LINT_NODES=225000 asks for it.
export nodes=${LINT_NODES:-20000} tidy
base_stamp=$(cat <(clang-tidy --version) .clang-tidy scripts/lint.sh \
    <(find common sqlite_ext/src -name '*.h' -print0 | sort -z | xargs -0 cat) | sha1sum)
export base_stamp
tidy_one() { # $1: source; prints findings in one piece, for several of these run at once
    local unit=$1 stamp findings
    stamp="$tidy/$(cat <(echo "$base_stamp $nodes $unit") "$unit" | sha1sum | cut -c1-40)"
    [ -e "$stamp" ] && return 0
    if findings=$(clang-tidy --quiet -p "$tidy" --extra-arg=-Xclang --extra-arg=-analyzer-config \
        --extra-arg=-Xclang --extra-arg="max-nodes=$nodes" "$unit" 2>&1); then
        touch "$stamp"
        return 0
    fi
    printf '%s:\n%s\n' "$unit" "$(grep -vE '^[0-9]+ warnings? generated|^Suppressed ' <<<"$findings")"
    return 1
}
export -f tidy_one
started=$SECONDS
mapfile -t units < <(git ls-files -co --exclude-standard 'common/src/*.cpp' 'sqlite_ext/src/*.cpp')
# shellcheck disable=SC2016 # the inner shell expands $1
printf '%s\n' "${units[@]}" | xargs -P "$(nproc)" -I{} bash -c 'tidy_one "$1"' tidy {}
report clang-tidy $?
echo "clang-tidy: ${#units[@]} files in $((SECONDS - started)) s"

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
