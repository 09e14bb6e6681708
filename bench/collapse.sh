#!/usr/bin/env bash
# Many more distinct statements than the tables of captured statements hold: throughput and latency of
# two clients against three servers that run side by side, asked in turns: without a module, with
# upkeep, with pg_stat_statements.
# Usage: collapse.sh   (after `make pg`; needs g++, libpq-dev and pg_stat_statements)
#   UPKEEP_COLLAPSE_SHAPES   distinct statements (20000)
#   UPKEEP_COLLAPSE_TABLE    statements that the tables hold (5000)
#   UPKEEP_COLLAPSE_SLICE    length of a turn in ms (500)
#   UPKEEP_COLLAPSE_ROUNDS   turns (30)
#   UPKEEP_COLLAPSE_BYTES    lengths of the texts to try ("0 1500"; 0: as short as they are)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
table=${UPKEEP_COLLAPSE_TABLE:-5000}
bindir=$("${PG_CONFIG:-pg_config}" --bindir)

# One cluster inside the other; the sockets of the outer ones are in UPKEEP_COLLAPSE_SERVERS.
stage=${UPKEEP_COLLAPSE_STAGE:-0}
names=(none upkeep pg_stat_statements)
if [ "$stage" -gt 0 ]; then
    UPKEEP_COLLAPSE_SERVERS="${UPKEEP_COLLAPSE_SERVERS:-} ${names[$((stage - 1))]}=$PGHOST"
fi
if [ "$stage" -lt 3 ]; then
    options=(-c autovacuum=off)
    case $stage in
        1) options+=(-c shared_preload_libraries=upkeep_preload -c "upkeep.max_statements=$table") ;;
        2) options+=(-c shared_preload_libraries=pg_stat_statements -c "pg_stat_statements.max=$table") ;;
    esac
    UPKEEP_COLLAPSE_STAGE=$((stage + 1)) UPKEEP_COLLAPSE_SERVERS=${UPKEEP_COLLAPSE_SERVERS:-} \
        exec bash "$here/../tests/pg/with_cluster.sh" "${options[@]}" bash "$here/collapse.sh"
fi

client=$PGHOST/collapse_client
"${CXX:-g++}" -std=c++20 -O2 -Wall -Wextra -Werror -I"$("${PG_CONFIG:-pg_config}" --includedir)" \
    -o "$client" "$here/collapse_client.cpp" -lpq -lpthread
servers=()
for server in $UPKEEP_COLLAPSE_SERVERS; do
    servers+=("${server%%=*}=host=${server#*=} port=$PGPORT user=$PGUSER dbname=postgres")
    "$bindir/psql" -qX -h "${server#*=}" -c 'CREATE EXTENSION IF NOT EXISTS upkeep' >/dev/null
done
for bytes in ${UPKEEP_COLLAPSE_BYTES:-0 1500}; do
    echo "${UPKEEP_COLLAPSE_SHAPES:-20000} statements of $bytes bytes and more, $table kept, 2 clients"
    "$client" "${UPKEEP_COLLAPSE_SHAPES:-20000}" "$bytes" "${UPKEEP_COLLAPSE_SLICE:-500}" \
        "${UPKEEP_COLLAPSE_ROUNDS:-30}" "${servers[@]}"
done
