#!/usr/bin/env bash
# copy_tree.sh FOLDER PATH...: these parts of the working tree, without what git ignores, into a folder.
set -euo pipefail
folder=$1
shift
mkdir -p "$folder"
cd "$(dirname "$0")/.."
# Of a file that is deleted and still tracked, nothing.
git ls-files -z --cached --others --exclude-standard -- "$@" |
    while IFS= read -r -d '' path; do [ ! -f "$path" ] || printf '%s\0' "$path"; done |
    xargs -0 cp --parents -t "$folder"
