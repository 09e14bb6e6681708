#!/usr/bin/env bash
# Runs a command against a throw-away PostgreSQL cluster with this checkout's extension.
# Usage: with_cluster.sh [-c 'name=value']… COMMAND [ARG …]
# The cluster has a unix socket only, lives in a temporary folder, runs as an unprivileged user even
# when called by root, and is stopped and removed whatever happens. Nothing is installed into the
# system: the extension is staged in that folder (extension_destdir, dynamic_library_path).
# The command gets PGHOST, PGPORT, PGUSER, PGDATABASE, UPKEEP_STAGE and, for restarts, UPKEEP_PGDATA.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
PG_CONFIG=${PG_CONFIG:-pg_config}
bindir=$("$PG_CONFIG" --bindir)

settings=()
while [ "${1:-}" = -c ]; do
    settings+=("$2")
    shift 2
done
[ $# -gt 0 ] || { echo "usage: with_cluster.sh [-c 'name=value']… COMMAND [ARG …]" >&2; exit 2; }

base=$(mktemp -d "${TMPDIR:-/tmp}/upkeep-pg.XXXXXX")
as_server=()
server_user=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
    server_user=postgres
    id postgres >/dev/null 2>&1 || server_user=nobody
    chown "$server_user" "$base"
    as_server=(setpriv --reuid="$server_user" --regid="$(id -g "$server_user")" --clear-groups)
fi
chmod 755 "$base"

stop() {
    local code=$?
    trap - EXIT INT TERM HUP
    if [ -e "$base/data/postmaster.pid" ]; then
        "${as_server[@]}" "$bindir/pg_ctl" -D "$base/data" -m immediate -w stop >/dev/null 2>&1 || true
    fi
    [ "$code" -eq 0 ] || [ -z "${UPKEEP_SHOW_LOG:-}" ] || tail -n 50 "$base/log" >&2
    rm -rf "$base"
    exit "$code"
}
trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

{
    make --no-print-directory -C "$top/pg_ext" PG_CONFIG="$PG_CONFIG" install DESTDIR="$base/stage"
    [ -z "${UPKEEP_GUARD_TEST:-}" ] ||
        make --no-print-directory -C "$top/pg_ext/test" PG_CONFIG="$PG_CONFIG" install DESTDIR="$base/stage"
} >"$base/install.log" 2>&1 || {
    cat "$base/install.log" >&2
    exit 1
}
libdir=$base/stage$("$PG_CONFIG" --pkglibdir)
"${as_server[@]}" "$bindir/initdb" -D "$base/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
    --no-sync >"$base/initdb.log" 2>&1 || {
    cat "$base/initdb.log" >&2
    exit 1
}
{
    echo "listen_addresses = ''"
    echo "unix_socket_directories = '$base'"
    echo "port = 5432"
    echo "fsync = off"
    echo "extension_destdir = '$base/stage'"
    echo "dynamic_library_path = '$libdir:\$libdir'"
    echo "timezone = 'UTC'"
    echo "max_connections = 50"
    for setting in "${settings[@]}"; do
        # a library of ours in shared_preload_libraries is not found by dynamic_library_path
        setting=${setting//upkeep_preload/$libdir/upkeep.so}
        value=${setting#*=}
        case $value in
            *\'*) echo "$setting" ;;
            *) echo "${setting%%=*} = '$value'" ;;
        esac
    done
} >>"$base/data/postgresql.conf"
"${as_server[@]}" "$bindir/pg_ctl" -D "$base/data" -l "$base/log" -w -t 60 start >/dev/null || {
    cat "$base/log" >&2
    exit 1
}
export PGHOST=$base PGPORT=5432 PGUSER=postgres PGDATABASE=postgres PGTZ=UTC
export UPKEEP_STAGE=$base/stage UPKEEP_PGDATA=$base/data UPKEEP_LIBDIR=$libdir
"$@"
