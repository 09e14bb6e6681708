#!/usr/bin/env bash
# What capture costs in PostgreSQL: instructions of the backend per statement, counted by callgrind,
# against the same server without us and with pg_stat_statements. Counts do not depend on what else
# the machine does. Kernel time is not in them. Two workloads: `pgbench -S`, and the statements of the
# AutoPR scenario (tests/scenarios/autopr: reads and writes, joins, JSON, paging), each once, in a
# transaction that is rolled back.
# Usage: capture_cost.sh   (after `make pg`; needs valgrind, pgbench and pg_stat_statements)
#   UPKEEP_COST_SCALE    scale of pgbench (2: the price of a statement does not depend on it)
#   UPKEEP_COST_SHORT, UPKEEP_COST_LONG   transactions of the two runs (1000, 3000): the difference
#                        of their counts leaves out connecting, caches and exit
#   UPKEEP_COST_ROUNDS   rounds of the scenario's shorter run (4; the longer is three times that); 0: none
#   UPKEEP_COST_SERVERS  some of the servers, by name (all of them)
#   UPKEEP_COST_SCRIPT   a pgbench script instead of -S, one transaction
#   UPKEEP_COST_WHOLE    1: with strncmp (see `instructions`)
#   UPKEEP_COST_KEEP     a folder for the profiles of the long runs, for callgrind_annotate
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${UPKEEP_PGDATA:-}" ]; then
    exec bash "$here/../tests/pg/with_cluster.sh" -c autovacuum=off -c shared_buffers=512MB -c log_connections=on \
        -c 'log_line_prefix=%p ' bash "$here/capture_cost.sh"
fi

bindir=$("${PG_CONFIG:-pg_config}" --bindir)
short=${UPKEEP_COST_SHORT:-1000}
long=${UPKEEP_COST_LONG:-3000}
rounds=${UPKEEP_COST_ROUNDS:-4}
scenario=$here/../tests/scenarios/autopr
upkeep=$UPKEEP_LIBDIR/upkeep.so
# name | options of the server. The first is the base, and is measured again at the end.
servers=(
    "none|-c shared_preload_libraries="
    "pg_stat_statements|-c shared_preload_libraries=pg_stat_statements"
    "upkeep|-c shared_preload_libraries=$upkeep"
    "upkeep, capture off|-c shared_preload_libraries=$upkeep -c upkeep.capture=none"
    "reaper_on|-c shared_preload_libraries=$upkeep -c upkeep.capture=none -c upkeep.reaper=on"
    "none again|-c shared_preload_libraries="
)

script=(-S)
[ -z "${UPKEEP_COST_SCRIPT:-}" ] || script=(-f "$UPKEEP_COST_SCRIPT")
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

# $1: transactions, $2: protocol, $3: workload. Prints the file of the backend that ran them: of the
# backends that this run connected (pgbench looks at the tables in one of its own) the one that did
# the most.
profile_of() {
    local seen pids pid
    seen=$(wc -l <"$work/log")
    local what=("${script[@]}")
    [ "$3" = pgbench ] || what=(-f "$work/scenario.sql" scenario)
    "$bindir/pgbench" -n -c 1 -t "$1" -M "$2" --random-seed=1 "${what[@]}" >"$work/pgbench.log" 2>&1 || {
        cat "$work/pgbench.log" >&2
        return 1
    }
    pids=$(tail -n "+$((seen + 1))" "$work/log" | sed -n 's/^\([0-9]*\) LOG:  connection authorized.*/\1/p')
    for pid in $pids; do
        while [ -e "/proc/$pid" ]; do sleep 0.1; done # the profile is written last
    done
    for pid in $pids; do
        echo "$(instructions "$work/out.$pid") $work/out.$pid"
    done | sort -n | tail -n 1 | cut -d' ' -f2
}

# $1: a profile. What the backend did for its client: without waiting for it and without sending off
# the server's statistics once a second, both of which depend on how fast the machine is; and without strncmp
# (the server looks units of time up by it, neither module calls it): it takes hundreds of instructions
# more where a word happens to lie near a page's end, which any other allocation moves.
instructions() {
    callgrind_annotate --inclusive=yes --threshold=100 "$1" 2>/dev/null | tr -d , | awk -v whole="${UPKEEP_COST_WHOLE:-0}" '
        /:PostgresMain / { sum += $1 }
        /:(secure_read|pgstat_report_stat) / { sum -= $1 }
        !whole && /:(__strncmp_[a-z0-9_]*|strncmp) / { sum -= $1 }
        END { print sum + 0 }'
}

# $1: name, $2: protocol, $3: workload. Prints instructions per statement.
measure() {
    local first second less=$short more=$long each=1
    if [ "$3" != pgbench ]; then
        less=$rounds more=$((rounds * 3)) each=$statements
    fi
    profile_of "$more" "$2" "$3" >/dev/null # every block that is read is in the server's cache from here on
    first=$(profile_of "$less" "$2" "$3")
    second=$(profile_of "$more" "$2" "$3")
    [ -z "${UPKEEP_COST_KEEP:-}" ] || cp "$second" "$UPKEEP_COST_KEEP/${1//[ ,]/_}.$3.$2"
    echo $((($(instructions "$second") - $(instructions "$first")) / ((more - less) * each)))
}

# The scenario: its database, and its statements as a script of pgbench.
build_scenario() {
    createdb scenario
    psql -qX -v ON_ERROR_STOP=1 -v scale=2000 -d scenario -c 'CREATE EXTENSION upkeep' \
        -c 'SELECT count(*) FROM upkeep.install_workflow_schema()' -c 'DROP EXTENSION upkeep' \
        -f "$scenario/generate.postgres.sql" -c 'VACUUM ANALYZE' >/dev/null
    {
        echo 'BEGIN;'
        tail -n +2 "$scenario/workload.tsv" | cut -f5 | sed 's/$/;/'
        echo 'ROLLBACK;'
    } >"$work/scenario.sql"
    statements=$(grep -c . "$work/scenario.sql")
}

"$bindir/pgbench" -i -q -s "${UPKEEP_COST_SCALE:-2}" >"$work/init.log" 2>&1
workloads=(pgbench)
if [ "$rounds" -gt 0 ]; then
    build_scenario
    workloads+=(scenario)
fi
# For the server with the reaper: a rule that governs pgbench's session and never ends it.
psql -qX -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION upkeep' -c "INSERT INTO upkeep.reap_rules (name, match_application,
    idle_for, keep_at_least) VALUES ('bench', 'pgbench', '1 s', 1)" >/dev/null 2>&1
control -m fast stop
# Each server begins with the same files, so that dead rows and full pages are the same for all.
cp -a "$UPKEEP_PGDATA" "$work/data"

declare -A base added
for server in "${servers[@]}"; do
    name=${server%%|*}
    [ -z "${UPKEEP_COST_SERVERS:-}" ] || [[ $name == none || " $UPKEEP_COST_SERVERS " == *" $name "* ]] || continue
    : >"$work/log"
    [ ${#as_server[@]} -eq 0 ] || chown "$owner" "$work/log"
    rm -rf "$UPKEEP_PGDATA"
    cp -a "$work/data" "$UPKEEP_PGDATA"
    # In the file, not on the command line: its length moves the stack, and strncmp takes hundreds of
    # instructions more where a buffer there ends near a page's end.
    sed -E 's/ ?-c ([a-z_.]+)=([^ ]*)/\1 = '"'\2'"'\n/g' <<<"${server#*|}" >>"$UPKEEP_PGDATA/postgresql.auto.conf"
    control -p "$work/postgres" -l "$work/log" start || {
        cat "$work/log" >&2
        exit 1
    }
    for workload in "${workloads[@]}"; do
        for protocol in prepared simple; do
            count=$(measure "$name" "$protocol" "$workload")
            if [ "$name" = none ]; then
                base[$workload.$protocol]=$count
            else
                added[$name.$workload.$protocol]=$((count - base[$workload.$protocol]))
            fi
        done
    done
    control -m fast stop
done

# Each module beside pg_stat_statements: what it adds to a statement.
for workload in "${workloads[@]}"; do
    printf '%-22s %18s %18s\n' "$workload" prepared simple
    printf '%-22s %18d %18d\n' none "${base[$workload.prepared]}" "${base[$workload.simple]}"
    for server in "${servers[@]:1}"; do
        name=${server%%|*}
        [ -n "${added[$name.$workload.simple]:-}" ] || continue
        printf '%-22s %+18d %+18d\n' "$name" "${added[$name.$workload.prepared]}" "${added[$name.$workload.simple]}"
    done
    for protocol in prepared simple; do
        ours=${added[upkeep.$workload.$protocol]:-} theirs=${added[pg_stat_statements.$workload.$protocol]:-}
        if [ -z "$ours" ] || [ -z "$theirs" ]; then continue; fi
        awk -v ours="$ours" -v theirs="$theirs" -v what="$workload, $protocol" \
            'BEGIN { printf "upkeep / pg_stat_statements, %s: %.2f\n", what, ours / theirs }'
    done
done
