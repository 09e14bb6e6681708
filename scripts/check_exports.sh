#!/usr/bin/env bash
# What a library of ours shows to the process that loads it: see scripts/README.md.
# Usage: check_exports.sh LIBRARY [postgres|sqlite]; which host it is for is otherwise seen by its own symbols.
set -euo pipefail
library=${1:?a library}
mapfile -t shown < <(nm -D --defined-only "$library" | awk '{ sub(/@.*/, "", $3); print $3 }' | LC_ALL=C sort)
bad=0
complain() {
    printf '%s: %s\n' "$library" "$1" >&2
    bad=1
}

host=${2:-}
[ -n "$host" ] || case " ${shown[*]} " in *" Pg_magic_func "*) host=postgres ;; *) host=sqlite ;; esac
case "$host" in
    postgres)
        required=(Pg_magic_func _PG_init)
        allowed='^(Pg_magic_func|_PG_init|pg_finfo_upkeep_[a-z0-9_]+|upkeep_[a-z0-9_]+)$'
        ;;
    sqlite)
        required=(sqlite3_upkeep_init)
        allowed='^sqlite3_upkeep_init$'
        ;;
    *) complain "no such host: $host" ;;
esac

for symbol in "${required[@]}"; do
    printf '%s\n' "${shown[@]}" | grep -qx -- "$symbol" || complain "does not export $symbol"
done
extra=$(printf '%s\n' "${shown[@]}" | grep -vE -- "$allowed" || true)
[ -z "$extra" ] || complain "exports more than its host needs: ${extra//$'\n'/ }"
if [ "$host" = postgres ]; then # every function with its record, or CREATE FUNCTION refuses it; a worker's main has none
    lonely=$(comm -3 <(printf '%s\n' "${shown[@]}" | grep '^upkeep_' | grep -v '_worker$' || true) \
        <(printf '%s\n' "${shown[@]}" | sed -n 's/^pg_finfo_//p') | tr -d '\t')
    [ -z "$lonely" ] || complain "function or pg_finfo without the other: ${lonely//$'\n'/ }"
fi

# libstdc++ is inside: neither asked for by name nor left for the loader to find in the process.
needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
for foreign in libstdc++ libsqlite3 libpq libgcc_s; do
    case "$needed" in *"$foreign"*) complain "is linked with $foreign" ;; esac
done
open=$(nm -D --undefined-only "$library" | awk '{ print $2 }' |
    grep -E '^(_ZNK?S|_ZS|_ZN9__gnu_cxx|_ZTVN10__cxxabiv|__cxa_(throw|begin_catch|rethrow|allocate_exception))|GLIBCXX|CXXABI|^sqlite3_' || true)
[ -z "$open" ] || complain "expects from the process: ${open//$'\n'/ }"
[ "$bad" -eq 0 ]
