#!/usr/bin/env bash
# Format check, clang-tidy on the core and the SQLite module, shellcheck. Usage: lint.sh BUILD_DIR
# clang-tidy reads only files that changed since the last clean run (stamps in BUILD_DIR/tidy).
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

mapfile -t sources < <(git ls-files '*.cpp' '*.h' '*.c')
clang-format --dry-run -Werror "${sources[@]}"
report clang-format $?

mapfile -t shells < <(git ls-files | while read -r file; do
    head -c 32 "$file" | grep -qaE '^#!.*(bash|sh)$|^#!.*bash' && echo "$file"
done)
shellcheck "${shells[@]}"
report shellcheck $?

mkdir -p "$build/tidy"
mapfile -t units < <(git ls-files 'common/src/*.cpp' 'sqlite_ext/src/*.cpp')
tidy_one() {
    local unit=$1 build=$2 stamp
    stamp="$build/tidy/$( (cat .clang-tidy "$unit"; git ls-files -s common/include; cat common/include/upkeep/*/*.h sqlite_ext/src/*.h 2>/dev/null) | sha1sum | cut -c1-40)"
    [ -e "$stamp" ] && return 0
    clang-tidy --quiet -p "$build" "$unit" 2>/dev/null && touch "$stamp"
}
export -f tidy_one
printf '%s\n' "${units[@]}" | xargs -P "$(nproc)" -I{} bash -c "tidy_one {} $build"
report clang-tidy $?

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
