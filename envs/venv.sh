#!/usr/bin/env bash
# Make .venv from requirements.txt, and again only when that file, or this folder's place, changes.
# PYTHON=/path/to/python chooses the interpreter; otherwise the first of python3, python3.12 and
# python3.11 that is Python 3.11 or 3.12 and can create virtual environments.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# One at a time. On NFS an exclusive lock needs a file that is open for writing; without locks one
# can only hope.
if [ -w pyproject.toml ]; then exec 9<>pyproject.toml; else exec 9<pyproject.toml; fi
flock 9 || echo "This file system has no locks: do not run make twice at the same time here." >&2

digest() { { pwd; cat "$@"; } | sha256sum | cut -d ' ' -f 1; }
current() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

find_python() {
    local candidate suitable=""
    for candidate in ${PYTHON:-python3 python3.12 python3.11}; do
        "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' \
            >/dev/null 2>&1 || continue
        if "$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
        suitable=$candidate
    done
    if [ -n "$suitable" ]; then
        local version
        version=$("$suitable" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        echo "$suitable (Python $version) cannot create virtual environments: its venv or ensurepip" \
            "module is missing. On Debian or Ubuntu: apt-get install python$version-venv" >&2
    else
        echo "No Python 3.11 or 3.12 found (looked for: ${PYTHON:-python3, python3.12, python3.11})." \
            "On Debian 12: apt-get install python3 python3-venv. One elsewhere: make PYTHON=/path/to/python" >&2
    fi
    return 1
}

pins=$(digest requirements.txt)
if ! current .venv/.pins "$pins" || ! .venv/bin/python -c '' 2>/dev/null; then
    python=$(find_python)
    echo "Creating .venv with $("$python" --version) from requirements.txt (a minute or two)."
    rm -rf .venv
    "$python" -m venv .venv
    .venv/bin/python -m pip install --disable-pip-version-check --quiet \
        --no-compile --use-pep517 -r requirements.txt
    echo "$pins" > .venv/.pins
fi

project=$(digest pyproject.toml)
if ! current .venv/.project "$project"; then
    .venv/bin/python -m pip install --disable-pip-version-check --quiet \
        --no-deps --no-build-isolation --no-index --editable .
    echo "$project" > .venv/.project
fi
