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
wheels="--only-binary=:all: --implementation cp --python-version $python --abi cp${python/./} --abi abi3 --abi none"
for system in linux manylinux2014 manylinux_2_17 manylinux_2_27 manylinux_2_28 manylinux_2_31 manylinux_2_34; do
    wheels+=" --platform ${system}_$target"
done
if [ "$target" = aarch64 ]; then
    # The legacy runtime ends with Python 3.11 and NumPy 1; newer boards get the newest of everything.
    legacy=
    [ $python != 3.11 ] || legacy="tflite-runtime==2.14.0 numpy<2"
    install $wheels "$wheel[demo,litert,numba]" $legacy onnx trustme $common
    exit
fi
# armv7l: cffi, numpy and pillow are the userland's, msgspec is compiled here; the index has the rest of what we need.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$tools/bin/pip" download --quiet --no-deps --no-binary :all: --no-build-isolation --dest "$work" "msgspec>=0.19,<1"
tar --extract --directory "$work" --file "$work"/msgspec-*.tar.gz
"$here/cross_build.sh" armv7l "$work"/msgspec-*/ "$work/wheels"
install $wheels --no-deps "$wheel" "$work"/wheels/*.whl tflite-runtime==2.14.0
install $wheels --upgrade "grpcio>=1.80,<2" "grpcio-health-checking>=1.80,<2" "protobuf>=6.31.1,<8" "tqdm>=4.66,<5" $common
