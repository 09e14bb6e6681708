#!/usr/bin/env bash
# `./dev demo` and `./dev check` on a bare Debian 12, each as the only command in a fresh one: what a
# newcomer meets. Slow (a quarter of an hour) and needs root, debootstrap and the network, so it is
# `make check-bare` and not part of CI. Usage: try_bare.sh [COMMAND …]
# The mirror is the one this machine's apt uses. Mounts live in a namespace of their own and end
# with it; a second pid namespace ends whatever a command left running.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
commands=("$@")
[ ${#commands[@]} -gt 0 ] || commands=('./dev demo' './dev check')
[ "$(id -u)" -eq 0 ] || { echo 'try_bare: needs root' >&2; exit 1; }
command -v debootstrap >/dev/null || { echo 'try_bare: needs the package debootstrap' >&2; exit 1; }
[ -z "$(git status --porcelain)" ] || echo 'try_bare: the clone will not have what is not committed' >&2

# shellcheck disable=SC2016 # apt's own placeholders
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' | awk '$2 ~ /^bookworm$/ { print $1; exit }')
[ -n "$mirror" ] || { echo 'try_bare: apt knows no mirror of bookworm' >&2; exit 1; }
proxy=''
eval "$(apt-config shell proxy Acquire::http::Proxy)"
[ -z "$proxy" ] || export http_proxy=$proxy

base=$(mktemp -d "${TMPDIR:-/tmp}/upkeep-bare.XXXXXX")
trap 'rm -rf --one-file-system "$base"' EXIT
trap 'exit 130' INT TERM

prepare() { # $1: folder of the new system
    local root=$1 include=()
    case "$mirror" in https:*) include=(--include=ca-certificates) ;; esac
    debootstrap --variant=minbase "${include[@]}" bookworm "$root" "$mirror" >"$base/debootstrap.log" 2>&1 || {
        tail -n 20 "$base/debootstrap.log" >&2
        return 1
    }
    # Packages must not start services: there is no init. An old Release file must not be refused.
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe"
    {
        echo 'Acquire::Check-Valid-Until "false";'
        echo 'Acquire::Check-Date "false";'
        [ -z "$proxy" ] || echo "Acquire::http::Proxy \"$proxy\";"
    } >"$root/etc/apt/apt.conf.d/99bare"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    git clone -q "$top" "$root/root/upkeep"
}

inside() { # $1: root, $2: command
    # shellcheck disable=SC2016 # expanded inside
    unshare --mount --pid --fork --kill-child bash -c '
        set -e
        mount --rbind /dev "$1/dev"
        mount -t proc proc "$1/proc"
        exec chroot "$1" /usr/bin/env -i HOME=/root TERM="${TERM:-dumb}" \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            bash -c "cd /root/upkeep && $2"' bare "$1" "$2" </dev/null
}

passed=0
failed=0
start=$SECONDS
prepare "$base/fresh"
echo "bare system in $((SECONDS - start)) s"
for command in "${commands[@]}"; do
    start=$SECONDS
    cp -a "$base/fresh" "$base/root"
    echo "== $command"
    if inside "$base/root" "$command" 2>&1 | sed -u 's/^/    /' &&
        [ -z "$(find "$base/root/tmp" -mindepth 1 -print -quit)" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        find "$base/root/tmp" -mindepth 1 -printf 'left behind: /tmp/%P\n'
    fi
    echo "   $command: $((SECONDS - start)) s"
    rm -rf --one-file-system "$base/root"
done
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
