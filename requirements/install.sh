#!/usr/bin/env bash
# Makes the virtual environment VENV hold what requirements/NAME.txt pins, hashes checked.
#
#   requirements/install.sh NAME VENV MINUTES [PYTHON...]
#
# Does nothing if it does already: the list that was installed is kept in the environment. The
# first PYTHON that is 3.11 or later and can make environments is used, or $PYTHON and no other.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

name=$1 venv=$2 minutes=$3
shift 3
list=requirements/$name.txt
installed=$venv/requirements.txt

usable() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in "$@"; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "make: Python 3.11 or later with its venv module is needed (on Debian and Ubuntu:" \
        "python3-venv); \`make PYTHON=/path/to/python3.11\` names one." \
        "${!#} is $("${!#}" --version 2>/dev/null || echo none)" >&2
    return 1
}

if cmp -s "$list" "$installed" && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi
if [[ -n ${PYTHON:-} ]]; then
    python=$(find_python "$PYTHON")
else
    python=$(find_python "$@" python3)
fi
echo "installing $list into $venv (about $minutes)"
"$python" -m venv --clear "$venv"
# -qq keeps pip's errors and drops its warnings. The list is complete: nothing is resolved anew.
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
    --no-deps --require-hashes -r "$list"
cp "$list" "$installed"
