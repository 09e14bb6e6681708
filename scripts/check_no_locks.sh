#!/usr/bin/env bash
# Nothing that a captured statement runs through may take a lock or wait: see scripts/README.md.
# Usage: check_no_locks.sh OBJECT… (object files of the hooks and of the core's capture)
set -euo pipefail
[ $# -gt 0 ] || { echo 'check_no_locks.sh: no object file given' >&2; exit 2; }
# Locks of PostgreSQL, of the C and C++ libraries, waiting, and atomics that the library makes with a lock
locks='LWLock|s_lock|SpinLock|LockAcquire|LockRelease|ConditionVariable|ProcSleep|WaitLatch|WaitEventSet|pg_usleep|PGSemaphore'
locks+='|pthread_(mutex|rwlock|spin|cond|once)|sem_(wait|timedwait)|flock|fcntl|__atomic_|__cxa_guard|condition_variable|std::(mutex|shared_mutex)|usleep|nanosleep|sched_yield'
bad=0
for object in "$@"; do
    symbols=$(nm --undefined-only -C "$object")
    found=$(printf '%s\n' "$symbols" | grep -E "\b_*($locks)" || true)
    [ -z "$found" ] || { printf '%s: may wait: %s\n' "$object" "$(printf '%s' "$found" | tr -s ' \n' ' ')" >&2; bad=1; }
done
[ "$bad" -eq 0 ]
