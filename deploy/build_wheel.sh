#!/usr/bin/env bash
# build_wheel.sh TARGET OUT: the wheel of this tree for a target, into OUT.
#
# One wheel serves every Python from 3.10 on. Fails if its tag says otherwise, or asks for a newer C library than 2.28.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=$1 out=$2
tools=$(dirname "$here")/build/arm/tools
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# From a copy, so that no object of another build gets in.
"$here/copy_tree.sh" "$work/source" csrc edge_runtime exporters server_ref \
    LICENSE MANIFEST.in NOTICE README.md pyproject.toml setup.py
"$here/cross_build.sh" "$target" "$work/source" "$work/raw"
PATH=$tools/bin:$PATH auditwheel repair --plat auto --wheel-dir "$work/repaired" "$work"/raw/*.whl >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
"$tools/bin/python" "$here/check_wheel.py" "$target" "$work"/repaired/*.whl
cp "$work"/repaired/*.whl "$out"
