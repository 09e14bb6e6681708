#!/usr/bin/env bash
# bench/collapse.sh in instructions: four times as many distinct statements as the tables of captured
# statements hold, asked at random; what the backend executes for a statement, counted by callgrind,
# without a module, with upkeep and with pg_stat_statements. It repeats where times do not. Everything
# is smaller than in collapse.sh, as only the ratio of statements to room counts here.
# Usage: collapse_cost.sh   (after `make pg`; needs valgrind, python3 and pg_stat_statements)
#   UPKEEP_COLLAPSE_TABLE    statements that the tables hold (300)
#   UPKEEP_COLLAPSE_SHAPES   distinct statements (1200)
#   UPKEEP_COLLAPSE_WARM     statements that fill the tables (1500)
#   UPKEEP_COLLAPSE_COUNTED  statements that are counted (1500)
#   UPKEEP_COLLAPSE_BYTES    lengths of the texts to try ("0 1500"; 0: as short as they are)
#   UPKEEP_COLLAPSE_SERVERS  some of the servers, by name (all of them)
#   UPKEEP_COLLAPSE_KEEP     a folder for the profiles of the long runs, for callgrind_annotate
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${UPKEEP_PGDATA:-}" ]; then
    exec bash "$here/../tests/pg/with_cluster.sh" -c autovacuum=off -c log_connections=on \
        -c 'log_line_prefix=%p ' bash "$here/collapse_cost.sh"
fi

bindir=$("${PG_CONFIG:-pg_config}" --bindir)
table=${UPKEEP_COLLAPSE_TABLE:-300}
shapes=${UPKEEP_COLLAPSE_SHAPES:-1200}
warm=${UPKEEP_COLLAPSE_WARM:-1500}
counted=${UPKEEP_COLLAPSE_COUNTED:-1500}
servers=(
    "none|-c shared_preload_libraries="
    "upkeep|-c shared_preload_libraries=$UPKEEP_LIBDIR/upkeep.so -c upkeep.max_statements=$table -c upkeep.text_memory=1MB"
    "pg_stat_statements|-c shared_preload_libraries=pg_stat_statements -c pg_stat_statements.max=$table"
)

work=$PGHOST/cost
mkdir -p "$work"
as_server=()
if [ "$(id -u)" -eq 0 ]; then
    owner=$(stat -c %U "$UPKEEP_PGDATA")
    chown "$owner" "$work"
    as_server=(setpriv --reuid="$owner" --regid="$(id -g "$owner")" --clear-groups)
fi
cat >"$work/postgres" <<WRAPPER
#!/bin/sh
exec valgrind --tool=callgrind --trace-children=yes --callgrind-out-file='$work/out.%p' \\
    --log-file=/dev/null '$bindir/postgres' "\$@"
WRAPPER
chmod 755 "$work/postgres"

control() {
    "${as_server[@]}" "$bindir/pg_ctl" -D "$UPKEEP_PGDATA" -w -t 120 "$@" >/dev/null
}

# $1: bytes of a text, $2: statements. The shapes are those of collapse_client.cpp.
write_script() {
    python3 - "$@" "$shapes" <<'PYTHON'
import random
import sys

size, count, shapes = map(int, sys.argv[1:])


def query(shape):
    chosen = [i for i in range(15) if shape >> i & 1]
    columns = []
    while not columns or sum(map(len, columns)) + 2 * len(columns) + 7 < size:
        columns += [f"c{i}" + (f" AS column_{i}_{'x' * 50}" if size else "") for i in chosen]
    return "SELECT " + ", ".join(columns) + " FROM wide WHERE id = "


rand = random.Random(1)
for _ in range(count):
    print(query(rand.randint(1, shapes)) + str(rand.randrange(1000)) + ";")
PYTHON
}

# $1: a profile. What the backend did for its client.
instructions() {
    callgrind_annotate --inclusive=yes --threshold=100 "$1" 2>/dev/null | tr -d , | awk '
        /:PostgresMain / { sum += $1 }
        /:(secure_read|pgstat_report_stat) / { sum -= $1 }
        END { print sum + 0 }'
}

# $1: a script. Prints the profile of the backend that ran it.
profile_of() {
    local seen pid
    seen=$(wc -l <"$work/log")
    psql -qX -v ON_ERROR_STOP=1 -o /dev/null -f "$1"
    pid=$(tail -n "+$((seen + 1))" "$work/log" | sed -n 's/^\([0-9]*\) LOG:  connection authorized.*/\1/p' | tail -n 1)
    while [ -e "/proc/$pid" ]; do sleep 0.1; done # the profile is written last
    echo "$work/out.$pid"
}

psql -qX -v ON_ERROR_STOP=1 >/dev/null <<'SQL'
SELECT 'CREATE TABLE wide (id int PRIMARY KEY' || string_agg(', c' || i || ' int', '') || ')'
FROM generate_series(0, 14) i \gexec
INSERT INTO wide (id) SELECT generate_series(0, 999);
VACUUM ANALYZE wide;
SQL
control -m fast stop

for bytes in ${UPKEEP_COLLAPSE_BYTES:-0 1500}; do
    write_script "$bytes" "$warm" >"$work/short.sql"
    write_script "$bytes" "$((warm + counted))" >"$work/long.sql"
    printf '%s statements of %s bytes and more, %s kept: instructions a statement\n' "$shapes" "$bytes" "$table"
    for server in "${servers[@]}"; do
        name=${server%%|*}
        [ -z "${UPKEEP_COLLAPSE_SERVERS:-}" ] || [[ " $UPKEEP_COLLAPSE_SERVERS " == *" $name "* ]] || continue
        counts=()
        for script in short long; do # each on a server that has just started, with empty tables
            : >"$work/log"
            [ ${#as_server[@]} -eq 0 ] || chown "$owner" "$work/log"
            control -p "$work/postgres" -l "$work/log" -o "${server#*|} -c upkeep.save=off -c pg_stat_statements.save=off" start || {
                cat "$work/log" >&2
                exit 1
            }
            profile=$(profile_of "$work/$script.sql")
            counts+=("$(instructions "$profile")")
            [ -z "${UPKEEP_COLLAPSE_KEEP:-}" ] || cp "$profile" "$UPKEEP_COLLAPSE_KEEP/$name.$bytes.$script"
            control -m fast stop
        done
        count=$(((counts[1] - counts[0]) / counted))
        [ "$name" != none ] || base=$count
        printf '%-20s %9d %7.3f of the base\n' "$name" "$count" "$(awk -v c="$count" -v b="${base:-0}" 'BEGIN { print b ? c / b : 0 }')"
    done
done
