#!/usr/bin/env bash
# ./dev demo: runs demo/demo.py, with --postgres on a throw-away cluster that is gone afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."
python=/usr/bin/python3 # Debian's own: its sqlite3 can load extensions
case " $* " in
    *" --postgres "*)
        make --no-print-directory pg >/dev/null
        exec bash tests/pg/with_cluster.sh "$python" demo/demo.py "$@"
        ;;
    *) exec "$python" demo/demo.py "$@" ;;
esac
