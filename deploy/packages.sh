#!/usr/bin/env bash
# packages.sh TARGET [wheel|suite]: the Debian packages that building for a target needs, or its tests on this machine.
#
# Says in one line which are missing, and fails; installs them instead where EDGE_RUNTIME_INSTALL=1 and this is root.
set -euo pipefail
target=$1
source "$(dirname "$0")/target.sh"
wanted="$packages mmdebstrap debian-archive-keyring"
[ "${2:-wheel}" = wheel ] || wanted="$wanted qemu-user qemu-user-static cmake pkg-config"
missing=
for package in $wanted; do
    dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=" $package"
done
[ -n "$missing" ] || exit 0
if [ "${EDGE_RUNTIME_INSTALL:-}" = 1 ] && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "deploy: packages are missing, run: apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
