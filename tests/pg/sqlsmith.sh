#!/usr/bin/env bash
# sqlsmith against a server that captures everything: random statements on the AutoPR schema, a schema
# of many types and the catalogs, UPKEEP_SQLSMITH_SECONDS long (default 1800), in a throw-away cluster.
# Fails if a server process dies, if an error or a failure is ours, or if our views cannot be read
# afterwards. Ends with `N passed, N failed`. UPKEEP_SQLSMITH_SEED repeats a run.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
seconds=${UPKEEP_SQLSMITH_SECONDS:-1800}
seed=${UPKEEP_SQLSMITH_SEED:-$RANDOM}

if [ "${1:-}" != inside ]; then
    command -v sqlsmith >/dev/null || { echo "sqlsmith is missing: apt-get install sqlsmith" >&2; exit 1; }
    exec bash tests/pg/with_cluster.sh -c shared_preload_libraries=upkeep_preload \
        -c upkeep.capture=all -c upkeep.slow_threshold=0 -c upkeep.capture_plans=on \
        -c upkeep.n_plus_one_threshold=10 -c upkeep.max_statements=2000 -c upkeep.text_memory=4 \
        -c log_error_verbosity=verbose -c statement_timeout=2s -c log_min_messages=warning -c log_min_error_statement=panic \
        -c restart_after_crash=on -c autovacuum=off bash tests/pg/sqlsmith.sh inside
fi

passed=0
failed=0
# $1: what is checked, rest: a command
check() {
    local what=$1 said
    shift
    if said=$("$@" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL: %s\n%s\n' "$what" "$said" | head -n 20
    fi
}
ask() { psql -qXAt -v ON_ERROR_STOP=1 -c "$1"; }
log=$PGHOST/log
nothing_in_log() { # $1: pattern of lines that must not be there
    ! grep -aE "$1" "$log"
}

# The server's own internal errors (sqlsmith provokes some) come from .c files, ours from .cpp files.
no_internal_error() {
    ! awk '/(ERROR|FATAL): +XX000:/ { left = 5; first = $0 }
           left-- > 0 && /LOCATION: .*\.cpp:/ { print first; print }' "$log" | grep .
}

psql -qX -v ON_ERROR_STOP=1 >/dev/null <<'SQL' || exit 1
CREATE EXTENSION upkeep;
SELECT count(*) FROM upkeep.install_workflow_schema();
CREATE TABLE kinds (i int, b bigint, n numeric, f float8, t text, c varchar(9), d date, ts timestamptz,
    iv interval, j jsonb, a int[], by bytea, u uuid, bo bool, net inet, r int4range, p point);
INSERT INTO kinds SELECT g, g, g, g, 'text ' || g, g, '2024-01-01'::date + g, now(), g * interval '1 min',
    jsonb_build_object('k', g), ARRAY[g, g], '\x00'::bytea, gen_random_uuid(), g % 2 = 0, '10.0.0.1',
    int4range(g, g + 5), point(g, g) FROM generate_series(1, 200) g;
CREATE TABLE parted (i int, t text) PARTITION BY HASH (i);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parted SELECT g, g FROM generate_series(1, 100) g;
CREATE VIEW joined AS SELECT k.*, x.t AS other FROM kinds k JOIN parted x USING (i);
CREATE FUNCTION nested(i int) RETURNS bigint LANGUAGE plpgsql AS
  $$ BEGIN RETURN (SELECT count(*) FROM kinds k WHERE k.i < nested.i) + (SELECT sum(x.i) FROM parted x); END $$;
CREATE FUNCTION caught(i int) RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN RETURN 1 / (i % 3); EXCEPTION WHEN division_by_zero THEN RETURN 0; END $$;
CREATE ROLE smith LOGIN SUPERUSER;
ANALYZE;
SQL

errors_before=$(grep -acE 'ERROR:' "$log")
PGUSER=smith timeout --preserve-status -s TERM -k 10 "$seconds" sqlsmith \
    --target="host=$PGHOST port=$PGPORT user=smith dbname=$PGDATABASE" --seed="$seed" \
    >/dev/null 2>"$PGHOST/sqlsmith.err" &
smith=$!
# Our readers run beside it, as they would in production.
while kill -0 "$smith" 2>/dev/null; do
    ask "SELECT count(*), max(p99_ms) FROM upkeep.statements" >/dev/null 2>&1
    ask "SELECT count(*) FROM upkeep.slow_statements" >/dev/null 2>&1
    sleep 5
done
wait "$smith"
code=$?

captured=$(ask "SELECT coalesce(sum(calls + errors), 0) FROM upkeep.statements")
evicted=$(ask "SELECT reason FROM upkeep.capabilities WHERE feature ~ 'capture' LIMIT 1")
check "sqlsmith ran to its end (it ended with $code)" test "$code" -eq 143 -o "$code" -eq 0
check "many statements were captured ($captured)" test "${captured:-0}" -ge $((seconds * 5))
check "no process died" nothing_in_log 'terminated by signal|PANIC:|server process .* exited'
check "no internal error of ours" no_internal_error
check "no failure of ours was counted" bash -c "! grep -q 'failures of our own' <<<\"$evicted\""
for view in statements slow_statements endpoints capabilities metric_samples; do
    check "upkeep.$view can be read" ask "SELECT count(*) FROM upkeep.$view"
done
check "the report can be made" ask "SELECT length(upkeep.report('text'))"
check "advice can be asked for" bash -c "psql -qXAt -c \"SELECT count(*) FROM upkeep.advise_indexes(NULL, time_limit => '20 s')\" 2>&1 |
    grep -vqE 'terminat|internal|XX000'"
check "the store can be emptied and counts again" ask "SELECT upkeep.reset_statements(); SELECT 1"
echo "sqlsmith: seed $seed, $seconds s, $captured executions captured; $evicted"
echo "errors in the log: $(($(grep -acE 'ERROR:' "$log") - errors_before))"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
