#!/usr/bin/env bash
# site.sh TARGET WHEEL FOLDER: what the suite imports on a target, the wheel first of all, unpacked into a folder.
#
# pip runs here and picks wheels by the target's tags, so it also shows that a board's pip would take ours.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=$1 wheel=$2 folder=$3
source "$here/target.sh"
root=$(dirname "$here") tools=$root/build/arm/tools
common="hypothesis onnx pytest tomli-w trustme"
rm -rf "$folder"
if [ "$target" = x86_64 ]; then
    # For this machine's own Python, and only to count the tests.
    exec "$tools/bin/pip" install --quiet --target "$folder" "$wheel[numba,onnxruntime]" $common
fi
tags=
for system in linux manylinux2014 manylinux_2_17 manylinux_2_27 manylinux_2_28 manylinux_2_31 manylinux_2_34; do
    tags+=" --platform ${system}_$target"
done
"$tools/bin/pip" install --quiet --only-binary=:all: --implementation cp --python-version 3.11 \
    --abi cp311 --abi abi3 --abi none $tags --target "$folder" \
    "$wheel[demo,litert,numba]" tflite-runtime==2.14.0 "numpy<2" $common
