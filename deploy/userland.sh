#!/usr/bin/env bash
# userland.sh TARGET FOLDER [PYTHON]: a Debian of the target's architecture with that Python (3.11), only unpacked.
#
# Holds the headers and the build settings that wheels are cross-built with, and the programs that QEMU runs. Without
# security updates: it serves tests and compilers on this machine, and is no image for a device.
set -euo pipefail
target=$1 folder=$2 python=${3:-3.11}
source "$(dirname "$0")/target.sh"
# The mirror that this machine itself is set up with.
mirror=${EDGE_RUNTIME_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -1)}
[ -n "$mirror" ] || { echo "deploy: no Debian mirror is known here, set EDGE_RUNTIME_MIRROR to one" >&2; exit 1; }
include=python$python,libpython$python-dev,libgomp1,libstdc++6
case $python in
3.11) release=bookworm ;;
3.13) release=trixie ;;
*) echo "deploy: Python '$python' is unknown, use 3.11 or 3.13" >&2; exit 2 ;;
esac
for package in $libraries; do include+=,$package; done

mkdir -p "$(dirname "$folder")"
rm -rf "$folder" "$folder.part"
mmdebstrap --quiet --variant=extract --architectures=$debian --include=$include \
    --aptopt='APT::Install-Recommends "false"' $release "$folder.part" "deb $mirror $release main"
# What the packages' own scripts would have linked, had they run.
[ -e "$folder.part/lib" ] || ln -s usr/lib "$folder.part/lib"
for library in blas lapack; do
    file=$folder.part/usr/lib/$triplet/$library/lib$library.so.3
    [ ! -e "$file" ] || ln -s "$library/lib$library.so.3" "$folder.part/usr/lib/$triplet/lib$library.so.3"
done
mv "$folder.part" "$folder"
