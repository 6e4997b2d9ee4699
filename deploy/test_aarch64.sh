#!/usr/bin/env bash
# The device's tests on an emulated 64-bit ARM: as a Cortex-A72, which has no dot product, and as a Cortex-A76.
#
# From a bare Debian to the verdict: the userland, the cross-built wheel, what it needs from the index, and both CPUs side
# by side. What is imported is that wheel; the tests lie in a folder without the checkout. Fails for a failed test, for one
# that did not run where it would on this machine, and for any skip but those a CPU without dot product must have.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here") arm=$root/build/arm/aarch64 suite=$root/build/arm/suite
CPUS="cortex-a72 cortex-a76"
# What runs on a device. `host` is for tests of development machines, `long` for those that take minutes there already.
SELECTION=(-m "not long and not host" tests/kernels tests/codecs tests/models tests/control tests/systems
    tests/transport tests/server_ref/handlers tests/test_messages.py tests/test_photos.py tests/test_cli_codec.py)

"$here/packages.sh" aarch64 suite
[ -e "$arm/userland" ] || "$here/userland.sh" aarch64 "$arm/userland"
rm -rf "$arm/dist" "$suite"
"$here/build_wheel.sh" aarch64 "$arm/dist"
"$here/build_wheel.sh" x86_64 "$root/build/arm/x86_64/dist"
"$here/site.sh" aarch64 "$arm"/dist/*.whl "$arm/site"
"$here/copy_tree.sh" "$suite" tests zoo csrc docs pyproject.toml

# How many tests each file has on this machine, with the same wheel of its own.
