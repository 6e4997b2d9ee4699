#!/usr/bin/env bash
# The device's tests on an emulated 64-bit ARM: as a Cortex-A72, which has no dot product, and as a Cortex-A76.
#
# From a bare Debian to the verdict: the userland, the cross-built wheel, what it needs from the index, and both CPUs
# side by side. What is imported is that wheel: the tests lie in a folder without the checkout. Fails for a failed test,
# for one that is missing though this machine has it, and for a skip, but for what a CPU without dot product must skip.
set -euo pipefail
cd "$(dirname "$0")/.."
arm=build/arm
# Numba compiles slowly under emulation: each CPU starts with one half of the kernels and fills a cache, in which the other
# finds them later. A cache is good for one CPU only, so both are told to compile for any.
coders=$(ls -d tests/codecs tests/kernels/test_{features,latents,rans}.py)
kernels=$(ls tests/kernels/test_*.py | grep --invert-match --fixed-strings "$coders")
others="tests/control tests/transport tests/systems tests/server_ref/handlers tests/models
    tests/test_golden_files.py tests/test_messages.py tests/test_photos.py tests/test_cli_codec.py"
export NUMBA_CACHE_DIR=$PWD/$arm/suite/numba NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES=

deploy/packages.sh aarch64 suite
[ -e $arm/aarch64/userland ] || deploy/userland.sh aarch64 $arm/aarch64/userland
deploy/make_suite.sh aarch64

# The server's models, which are large, run once.
marks="not long and not host"
deploy/run_suite.sh aarch64 cortex-a72 "$marks and not server" "this CPU has no dotprod" $coders $others $kernels &
first=$!
deploy/run_suite.sh aarch64 cortex-a76 "$marks" "" $kernels $others $coders &
second=$!
status=0
wait $first || status=1
wait $second || status=1
exit $status
