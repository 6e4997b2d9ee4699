#!/usr/bin/env bash
# install.sh [--deb FILE] [--bundle DIR] [--config FILE] [--dry-run] USER@HOST: the daemon onto a board, over ssh.
#
# Builds nothing: takes the newest package in dist/ for the board's architecture (make deb ARCH=...), copies it with the
# bundle and the configuration, and runs install_here.sh there, which puts back what was there if the daemon does not
# come up. --dry-run asks the board for its architecture, and prints the rest.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
say() { echo "install: $*" >&2; }
usage() { sed -n 's/^# \(install.sh .*\):.*/usage: \1/p' "$0" >&2; exit 2; }

deb='' bundle='' config='' dry='' host=''
while [ $# -gt 0 ]; do
    case $1 in
    --deb | --bundle | --config)
        [ $# -gt 1 ] || usage
        printf -v "${1#--}" %s "$2"
        shift 2 ;;
    --dry-run) dry=1 && shift ;;
    -*) usage ;;
    *)
        [ -z "$host" ] || usage
        host=$1 && shift ;;
    esac
done
[ -n "$host" ] || usage
[ -z "$config" ] || [ -f "$config" ] || { say "--config: $config is no file"; exit 2; }
[ -z "$bundle" ] || [ -f "$bundle/bundle.toml" ] || { say "--bundle: $bundle has no bundle.toml"; exit 2; }

architecture=$(ssh "$host" dpkg --print-architecture) || { say "$host: cannot be reached, or is no Debian; nothing was changed"; exit 1; }
if [ -z "$deb" ]; then
    deb=$(find "$here/../dist" -name "edge-runtime_*_$architecture.deb" -printf '%f\n' 2>/dev/null | sort --version-sort | tail -1) || true
    [ -n "$deb" ] || { say "dist/ has no package for $architecture, run: make deb ARCH=$architecture"; exit 2; }
    deb=$here/../dist/$deb
fi
[ -f "$deb" ] || { say "--deb: $deb is no file"; exit 2; }

run() { if [ -n "$dry" ]; then printf '%s\n' "${*@Q}"; else "$@"; fi; }
stage=/tmp/edge-runtime.install
[ -n "$dry" ] || stage=$(ssh "$host" mktemp --directory /tmp/edge-runtime.XXXXXXXX)
trap 'run ssh "$host" rm -rf "$stage"' EXIT
run scp -q "$deb" "$host:$stage/package.deb"
run scp -q "$here/install_here.sh" "$host:$stage/install_here.sh"
[ -z "$config" ] || run scp -q "$config" "$host:$stage/config.toml"
[ -z "$bundle" ] || run scp -q -r "$bundle" "$host:$stage/bundle"
run ssh "$host" sudo bash "$stage/install_here.sh" "$stage"
