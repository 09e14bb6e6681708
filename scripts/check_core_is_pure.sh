#!/usr/bin/env bash
# The core knows no host: see scripts/README.md. Usage: check_core_is_pure.sh [DIR of common/]
set -euo pipefail
cd "$(dirname "$0")/.."
core=${1:-common}
bad=0
refuse() { # $1: what is wrong, $2: Perl regular expression, searched outside // comments
    local hits
    hits=$(grep -rnP --include='*.h' --include='*.cpp' -- "$2" "$core" | grep -vE '^[^:]+:[0-9]+:\s*//' || true)
    if [ -n "$hits" ]; then
        printf 'common/ must not %s:\n%s\n' "$1" "$hits" >&2
        bad=1
    fi
}
refuse 'include a host header' '#include *[<"](postgres|fmgr|libpq|sqlite3|sqlite3ext|pg\.h|sqlite_api|catalog/|utils/|nodes/|executor/|access/|storage/)'
refuse 'swallow unknown exceptions' 'catch *\( *\.\.\. *\)'
refuse 'start threads or lock' '#include *<(thread|mutex|shared_mutex|condition_variable|future|semaphore)>'
refuse 'do input or output' '#include *<(iostream|fstream|cstdio|stdio\.h|filesystem|unistd\.h|print)>|\b(printf|fopen|std::cout|std::cerr|getenv) *\('
refuse 'read clocks' 'std::chrono::(system|steady|high_resolution)_clock|gettimeofday|clock_gettime'
refuse 'keep state in globals' '\bthread_local\b|^\s*static\s+(?!constexpr|const |void|inline|bool [A-Z]\w*\()[\w:<>, ]+\s+\w+\s*(=|;|\{)|^(int|bool|char|double|size_t|u?int\d+_t|std::\S+) \w+ *(=|;|\{)'
[ "$bad" -eq 0 ]
