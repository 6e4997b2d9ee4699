#!/usr/bin/env bash
# The device's tests on an emulated 64-bit ARM: as a Cortex-A72, which has no dot product, and as a Cortex-A76.
#
# From a bare Debian to the verdict: the userland, the cross-built wheel, what it needs from the index, and both CPUs
# side by side. What is imported is that wheel: the tests lie in a folder without the checkout. Fails for a failed test,
# for one that is missing though this machine has it, and for a skip, but for what a CPU without dot product must skip.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here") arm=$root/build/arm/aarch64 host=$root/build/arm/x86_64 suite=$root/build/arm/suite
# What runs on a device. Numba's part is slow to compile: the first CPU fills a cache that the second finds later.
kernels="tests/kernels tests/codecs"
others="tests/control tests/transport tests/systems tests/server_ref/handlers tests/models
    tests/test_messages.py tests/test_photos.py tests/test_cli_codec.py"

"$here/packages.sh" aarch64 suite
[ -e "$arm/userland" ] || "$here/userland.sh" aarch64 "$arm/userland"
rm -rf "$arm/dist" "$host/dist" "$suite"
for target in aarch64 x86_64; do
    "$here/build_wheel.sh" $target "$root/build/arm/$target/dist"
    "$here/site.sh" $target "$root/build/arm/$target/dist"/*.whl "$root/build/arm/$target/site" &
done
"$here/copy_tree.sh" "$suite" tests zoo csrc docs "benchmarks/*.py" pyproject.toml
wait -n && wait -n

export OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= NUMBA_CACHE_DIR=$suite/numba NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES=
cd "$suite"
# As a Cortex-A72 the device's own models; the server's, which are large, run once.
run() { # CPU MARKS PATH...
    local cpu=$1 marks="not long and not host $2"
    shift 2
    PYTHONPATH=$host/site python3 -m pytest -p no:cacheprovider --collect-only -qq -m "$marks" "$@" >"$cpu.counts" ||
        { cat "$cpu.counts" >&2; return 1; }
    PYTHONPATH=$arm/site "$here/emulate.sh" "$cpu" "$arm/userland" "$arm/userland/usr/bin/python3.11" \
        -m pytest -q -p no:cacheprovider -m "$marks" --junitxml="$cpu.xml" "$@" >"$cpu.log" 2>&1
}
run cortex-a72 "and not server" $kernels $others & first=$!
run cortex-a76 "" $others $kernels & second=$!
status=0
wait $first || status=1
wait $second || status=1
for cpu in cortex-a72 cortex-a76; do
    reason=
    [ $cpu = cortex-a76 ] || reason="this CPU has no dotprod"
    python3 "$here/check_suite.py" $cpu.xml $cpu.counts ${reason:+"$reason"} || status=1
    [ $status = 0 ] || tail -200 $cpu.log
    echo "$cpu: $(tail -1 $cpu.log)"
done
exit $status
