#!/usr/bin/env bash
# Python of ours reads and keeps the limit on functions that clang-tidy holds C++ to: see
# scripts/README.md. Usage: check_python.sh [FILE …]
set -euo pipefail
cd "$(dirname "$0")/.."
files=("$@")
[ ${#files[@]} -gt 0 ] || mapfile -t files < <(git ls-files -co --exclude-standard '*.py')
python3 -B - "${files[@]}" <<'P'
import ast, pathlib, sys
bad = []
for name in sys.argv[1:]:
    try:
        tree = ast.parse(pathlib.Path(name).read_text(encoding="utf-8"), name)
    except SyntaxError as error:
        bad.append(f"{name}:{error.lineno}: {error.msg}")
        continue
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1
            if lines > 80:
                bad.append(f"{name}:{node.lineno}: {node.name} has {lines} lines, 80 at most")
print("\n".join(bad), file=sys.stderr, end="\n" if bad else "")
sys.exit(1 if bad else 0)
P
