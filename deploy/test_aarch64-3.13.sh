#!/usr/bin/env bash
# What newer boards differ in (Raspberry Pi OS 13): Python 3.13 and the newest of every package, as a Cortex-A76.
#
# test_aarch64.sh has run the kernels by then; here the same wheel, the models and the systems have to get on with those.
set -euo pipefail
cd "$(dirname "$0")/.."
board=build/arm/aarch64-3.13
deploy/packages.sh aarch64 suite
[ -e build/arm/aarch64/userland ] || deploy/userland.sh aarch64 build/arm/aarch64/userland
[ -e $board/userland ] || deploy/userland.sh aarch64 $board/userland 3.13
deploy/make_suite.sh aarch64
deploy/site.sh aarch64 build/arm/aarch64/dist/*.whl $board/site 3.13
deploy/run_suite.sh aarch64-3.13 cortex-a76 "not long and not host and not server" "this machine has no tflite-runtime" \
    tests/kernels/test_{image,isa,patches,selection}.py tests/models tests/systems tests/transport \
    tests/test_golden_files.py tests/test_messages.py tests/test_photos.py
