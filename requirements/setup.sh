#!/usr/bin/env bash
# Installs the environments that some commands need: `local`, `emulator` or `checkers`.
#
#   requirements/setup.sh NAME [FOLDER]      FOLDER is where .venv-* are, by default this checkout
set -euo pipefail
requirements=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(cd "${2:-$requirements/..}" && pwd)
export folder

install() {
    bash "$requirements/install.sh" "$1" "$folder/.venv-$1" "${@:2}"
}

case ${1:-} in
    local)
        install local "2 minutes" python3.12 \
            "$(pyenv prefix 3.12 2>/dev/null || true)/bin/python3.12" python3.11
        ;;
    emulator)
        install emulator "1 minute" python3.11 python3.12 python3.13
        install awscli "half a minute" python3.11 python3.12 python3.13
        ;;
    checkers)
        install audit "1 minute" python3.11 python3.12 python3.13
        bash "$requirements/install-node.sh" node
        ;;
    *)
        echo "setup.sh: unknown environment '${1:-}': local, emulator and checkers are allowed" >&2
        exit 2
        ;;
esac
