#!/usr/bin/env bash
# site.sh TARGET WHEEL FOLDER [PYTHON]: what the suite imports on a target, the wheel first of all, unpacked into a folder.
#
# pip runs here and picks wheels by the target's tags, so it also shows that a board's pip would take ours.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=$1 wheel=$2 folder=$3 python=${4:-3.11}
source "$here/target.sh"
root=$(dirname "$here") tools=$root/build/arm/tools
common="hypothesis pytest tomli-w"
rm -rf "$folder"
install() { "$tools/bin/pip" install --quiet --target "$folder" "$@"; }

if [ "$target" = x86_64 ]; then
    # For this machine's own Python, and only to count the tests.
    install "$wheel[numba,onnxruntime]" onnx trustme $common
    exit
fi
source "$here/wheels.sh"
if [ "$target" = aarch64 ]; then
    # The legacy runtime ends with Python 3.11 and NumPy 1; newer boards get the newest of everything.
    legacy=
    [ $python != 3.11 ] || legacy="tflite-runtime==2.14.0 numpy<2"
    install "${wheels[@]}" "$wheel[demo,litert,numba]" $legacy onnx trustme $common
    exit
fi
# armv7l: cffi, numpy and pillow are the userland's, msgspec is compiled here; the index has the rest of what we need.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compile_msgspec "$work"
install "${wheels[@]}" --no-deps "$wheel" "$work"/msgspec-*.whl tflite-runtime==2.14.0
install "${wheels[@]}" --upgrade "grpcio>=1.80,<2" "grpcio-health-checking>=1.80,<2" "protobuf>=6.31.1,<8" \
    "tqdm>=4.66,<5" $common
