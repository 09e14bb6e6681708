#!/usr/bin/env bash
# ./dev demo: runs demo/demo.py, with --postgres on a throw-away cluster that is gone afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."
demo=(/usr/bin/python3 -B demo/demo.py "$@") # Debian's own: its sqlite3 can load extensions
case " $* " in
    *" --help "* | *" -h "*) ;;
    *" --postgres "*)
        echo 'building the extension and starting a throw-away cluster'
        make --no-print-directory pg >/dev/null
        exec bash tests/pg/with_cluster.sh -c shared_preload_libraries=upkeep_preload "${demo[@]}"
        ;;
esac
exec "${demo[@]}"
