#!/usr/bin/env bash
# emulate.sh CPU USERLAND PROGRAM...: run a program of a userland on an emulated CPU, and whatever it starts itself.
#
# CPU is one of cpuinfo/. Both needs of a whole Python are met in namespaces of this one process: its subprocesses run
# because the kernel is told of QEMU (binfmt_misc, private to a user namespace from Linux 6.7 on), and onnxruntime and
# LLVM, which read /proc/cpuinfo, find the emulated CPU there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "$1" = --inside ]; then
    info=$2 interpreters=/proc/sys/fs/binfmt_misc
    shift 2
    if [ ! -e $interpreters/qemu-aarch64 ]; then
        mount -t binfmt_misc none $interpreters ||
            { echo "emulate: needs Linux 6.7, or QEMU registered with binfmt_misc" >&2; exit 1; }
        for processor in aarch64 arm; do
            # The package's own line, with this path and the interpreter kept open, so that it is found anywhere.
            sed -E "s#:/usr/[^:]*:[A-Z]*\$#:/usr/bin/qemu-$processor-static:F#" /usr/lib/binfmt.d/qemu-$processor.conf \
                >$interpreters/register
        done
    fi
    mount --bind "$info" /proc/cpuinfo
    exec "$@"
fi
cpu=$1 userland=$(cd "$2" && pwd)
shift 2
[ -e "$here/cpuinfo/$cpu" ] || { echo "emulate: CPU '$cpu' is unknown, use one of: $(ls "$here/cpuinfo")" >&2; exit 2; }
info=$userland/tmp/cpuinfo.$cpu
for ((number = 0; number < $(nproc); number++)); do
    printf 'processor\t: %d\n' $number
    cat "$here/cpuinfo/$cpu"
done >"$info"
export QEMU_CPU=$cpu QEMU_LD_PREFIX=$userland
exec unshare --user --map-root-user --mount -- bash "$0" --inside "$info" "$@"
