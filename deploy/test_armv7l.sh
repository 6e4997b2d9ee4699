#!/usr/bin/env bash
# The device's tests on an emulated 32-bit ARM, a Cortex-A7: NumPy and C kernels, formats, choices, the zoo's TFLite files.
#
# The index has no wheels of onnxruntime, LiteRT, Numba, onnx and cryptography for it: what needs those does not run.
set -euo pipefail
cd "$(dirname "$0")/.."
arm=build/arm
deploy/packages.sh armv7l suite
[ -e $arm/armv7l/userland ] || deploy/userland.sh armv7l $arm/armv7l/userland
deploy/make_suite.sh armv7l
# Its fixtures are ONNX networks. Hidden from this machine as well, Numba adds no tests to those that are expected.
rm $arm/suite/tests/conftest.py
mkdir $arm/suite/hidden
echo 'raise ImportError("no wheel for armv7l")' >$arm/suite/hidden/numba.py
# There is one set of kernels and nothing to choose.
kernels=$(ls tests/kernels/test_*.py | grep --invert-match test_isa)
HIDDEN=hidden deploy/run_suite.sh armv7l cortex-a7 "not long and not host" "this machine has no onnxruntime
this machine has no litert
jit cannot be loaded here" $kernels tests/codecs tests/control tests/models/test_zoo_outputs.py \
    tests/test_golden_files.py tests/test_messages.py tests/test_photos.py
