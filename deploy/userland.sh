#!/usr/bin/env bash
# userland.sh TARGET FOLDER: a Debian 12 of the target's architecture with Python 3.11, only unpacked.
#
# Holds the headers and the build settings that wheels are cross-built with, and the programs that QEMU runs. Without
# security updates: it serves tests and compilers on this machine, and is no image for a device.
set -euo pipefail
target=$1 folder=$2
source "$(dirname "$0")/target.sh"
# The mirror that this machine itself is set up with.
mirror=${EDGE_RUNTIME_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -1)}
[ -n "$mirror" ] || { echo "deploy: no Debian mirror is known here, set EDGE_RUNTIME_MIRROR to one" >&2; exit 1; }
include=python3.11,libpython3.11-dev,libgomp1,libstdc++6
for package in $libraries; do include+=,$package; done

mkdir -p "$(dirname "$folder")"
rm -rf "$folder" "$folder.part"
mmdebstrap --quiet --variant=extract --architectures=$debian --include=$include \
    --aptopt='APT::Install-Recommends "false"' bookworm "$folder.part" "deb $mirror bookworm main"
# What the packages' own scripts would have linked, had they run.
for library in blas lapack; do
    file=$folder.part/usr/lib/$triplet/$library/lib$library.so.3
    [ ! -e "$file" ] || ln -s "$library/lib$library.so.3" "$folder.part/usr/lib/$triplet/lib$library.so.3"
done
mv "$folder.part" "$folder"
