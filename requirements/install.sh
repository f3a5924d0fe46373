#!/usr/bin/env bash
# Makes the virtual environment VENV hold what requirements/NAME.txt pins, hashes checked.
#
#   requirements/install.sh NAME VENV MINUTES [PYTHON...]
#
# uv does the work where pip can install it: it checks the same hashes in a fraction of the time (the
# SDK's 758 MB: 34 s, where pip takes 3 minutes). Otherwise pip does. Both compile what they install:
# where PYTHONDONTWRITEBYTECODE is set, as in many images, each process would compile its imports again
# (the aws command: 0.8 s instead of 0.4; AutoGluon: 6 s instead of 2). One process alone uses the SDK.
#
# Does nothing if it does already: VENV keeps a copy of each list that it holds. A list that begins
# with `-r build.in` holds what build.txt pins; it is added to what is there. The first PYTHON that
# is 3.11 or later and can make environments is used, or $PYTHON and no other.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

name=$1 venv=$2 minutes=$3
shift 3
list=requirements/$name.txt
installed=$venv/requirements

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

# Whether the environment works, and holds nothing that is pinned otherwise today.
usable_environment() {
    local copy
    "$venv/bin/python" -c '' 2>/dev/null || return 1
    for copy in "$installed"/*.txt; do
        cmp -s "requirements/${copy##*/}" "$copy" || return 1
    done
}

holds_list() {
    local copy
    for copy in "$installed"/*.txt; do
        copy=${copy##*/}
        if [[ $copy == "$name.txt" ]] \
            || grep -qsx -- "-r $name.in" "requirements/${copy%.txt}.in"; then
            return
        fi
    done
    return 1
}

if usable_environment; then
    if holds_list; then
        exit 0
    fi
    echo "adding $list to $venv (about $minutes)"
else
    if [[ -n ${PYTHON:-} ]]; then
        python=$(find_python "$PYTHON")
    else
        python=$(find_python "$@" python3)
    fi
    echo "installing $list into $venv (about $minutes)"
    "$python" -m venv --clear "$venv"
fi

pip() {
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
        --no-deps --require-hashes "$@"
}

# One call for a whole list, in a folder that goes again: nothing of uv stays in the environment.
with_uv() {
    local tools status=0 compile=--compile-bytecode
    [[ $name != sdk ]] || compile=--no-compile-bytecode
    tools=$(mktemp -d)
    pip --target "$tools" -r requirements/uv.txt 2>/dev/null \
        && "$tools/bin/uv" pip install -q --python "$venv/bin/python" \
            --no-deps --require-hashes "$compile" -r "$list" 2>/dev/null || status=1
    rm -rf "$tools"
    return "$status"
}

# -qq keeps pip's errors and drops its warnings. The list is complete: nothing is resolved anew.
with_uv || pip -r "$list"
mkdir -p "$installed"
cp "$list" "$installed"
