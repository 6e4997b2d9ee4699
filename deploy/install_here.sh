#!/usr/bin/env bash
# install_here.sh FOLDER: package.deb, bundle/ and config.toml of a folder, as far as they are there, onto this machine.
#
# Run by root, mostly by install.sh. The configuration is checked before it takes the former one's place. If anything
# fails, or the daemon is not ready and still running a little later, package, bundle and configuration are put back.
set -euo pipefail
folder=$1
bundle=/srv/edge-runtime/bundle config=/etc/edge-runtime/config.toml
# apt keeps no package that was a file: ours is kept here, to go back to.
kept=/var/cache/edge-runtime/package.deb
settle_s=${SETTLE_S:-5}
say() { echo "install: $*" >&2; }

# $1.bak holds what was at $1 before; without one, nothing was.
replace() { rm -rf "$1.bak"; [ ! -e "$1" ] || mv "$1" "$1.bak"; mv "$2" "$1"; replaced+=("$1"); }
put_back() { rm -rf "$1"; [ ! -e "$1.bak" ] || mv "$1.bak" "$1"; }
install_package() {
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends --reinstall --allow-downgrades \
        --option Dpkg::Options::=--force-confold "$1"
}
restart() {
    # Of a Type=notify service it ends when the daemon is ready, and fails when it cannot be.
    systemctl restart edge-runtime.service && sleep "$settle_s" && systemctl is-active --quiet edge-runtime.service
}

replaced=() packaged='' running=''
! systemctl is-active --quiet edge-runtime.service || running=1
roll_back() {
    trap - ERR
    say "$1; going back"
    journalctl --unit edge-runtime.service --lines 20 --no-pager >&2 || true
    for path in "${replaced[@]}"; do put_back "$path"; done
    if [ -n "$packaged" ] && [ -f "$kept" ]; then
        install_package "$kept" || say "the former package could not be installed again, see above"
    elif [ -n "$packaged" ]; then
        say "the former package is not known, the new one stays"
    fi
    if [ -z "$running" ]; then
        systemctl stop edge-runtime.service || true
    elif restart; then
        say "the former daemon runs again"
    else
        say "the former daemon does not run either, see: journalctl -u edge-runtime"
    fi
    exit 1
}
trap 'roll_back "line $LINENO failed"' ERR

if [ -f "$folder/package.deb" ]; then
    packaged=1
    install_package "$folder/package.deb" || roll_back "the package could not be installed"
fi
if [ -d "$folder/bundle" ]; then
    mkdir -p "$(dirname $bundle)"
    rm -rf $bundle.new
    cp -r "$folder/bundle" $bundle.new
    chmod -R u=rwX,go=rX $bundle.new
    replace $bundle $bundle.new
fi
if [ -f "$folder/config.toml" ]; then
    # As the service sees it, but for keys and tokens, which are still where root put them.
    (cd /var/lib/edge-runtime 2>/dev/null || cd /
    CREDENTIALS_DIRECTORY=/etc/edge-runtime/credentials edge-runtime config check --config "$folder/config.toml") ||
        roll_back "the configuration was refused"
    install -D --mode 644 "$folder/config.toml" $config.new
    replace $config $config.new
fi
systemctl enable --quiet edge-runtime.service
restart || roll_back "the daemon did not come up"
[ -z "$packaged" ] || install -D --mode 644 "$folder/package.deb" "$kept"
say "edge-runtime runs"
