#!/usr/bin/env bash
# build_deb.sh ARCHITECTURE OUT: the package for Debian 12 (amd64, arm64 or armhf) into OUT. Its path is printed.
#
# Run it by `make deb`, whose environment (.venv) writes the configuration to begin with.
# The same tree, with the same wheels in the index, gives the same bytes: times are the last commit's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
architecture=$1 out=$(mkdir -p "$2" && cd "$2" && pwd)
case $architecture in
amd64) target=x86_64 ;;
arm64) target=aarch64 ;;
armhf) target=armv7l ;;
*)
    echo "deploy: architecture '$architecture' is unknown, use amd64, arm64 or armhf" >&2
    exit 2 ;;
esac
cd "$here/.."
umask 022
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root docs=$work/root/usr/share/doc/edge-runtime

"$here/packages.sh" $target
[ $target = x86_64 ] || [ -e build/arm/$target/userland ] || "$here/userland.sh" $target build/arm/$target/userland
# With debug information, the sum that names a library would depend on the folder it was built in.
CFLAGS=-g0 "$here/build_wheel.sh" $target "$work/wheel"
"$here/vendor.sh" $target "$work"/wheel/*.whl "$root/usr/lib/edge-runtime"

install -D --mode 755 --target-directory "$root/usr/bin" deploy/debian/edge-runtime deploy/debian/edge-server
install -D --mode 644 --target-directory "$root/lib/systemd/system" deploy/systemd/*.service
.venv/bin/edge-runtime config init --config "$root/etc/edge-runtime/config.toml" >/dev/null
install -D --mode 644 --target-directory "$docs/examples" deploy/systemd/examples/*.conf
install -D --mode 644 --target-directory "$docs" deploy/debian/copyright docs/operations.md
install -D --mode 644 --target-directory "$root/usr/share/man/man1" deploy/debian/edge-runtime.1
ln -s edge-runtime.1.gz "$root/usr/share/man/man1/edge-server.1.gz"
install -D --mode 644 deploy/debian/lintian-overrides "$root/usr/share/lintian/overrides/edge-runtime"
# Without onnxruntime there is nothing that a server could answer with.
[ -e "$root/usr/lib/edge-runtime/onnxruntime" ] ||
    rm "$root"/usr/bin/edge-server "$root"/lib/systemd/system/edge-server.service "$root"/usr/share/man/man1/edge-server.1.gz

# Every commit has a version of its own, later than those before, so that one can be put in another's place.
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)+$(date --utc --date=@"$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S).$(git rev-parse --short=8 HEAD)
maintainer=$(sed -n 's/^Maintainer: //p' deploy/debian/control)
cat >"$docs/changelog" <<END
edge-runtime ($version) bookworm; urgency=medium

  * Built from commit $(git rev-parse HEAD).

 -- $maintainer  $(LC_ALL=C date --utc --rfc-email --date=@"$SOURCE_DATE_EPOCH")
END
gzip --best --no-name "$docs/changelog" "$root/usr/share/man/man1/edge-runtime.1"

mkdir "$root/DEBIAN"
install --mode 755 --target-directory "$root/DEBIAN" deploy/debian/{postinst,prerm,postrm}
echo /etc/edge-runtime/config.toml >"$root/DEBIAN/conffiles"
(cd "$root" && find usr lib -type f -print0 | sort --zero-terminated | xargs -0 md5sum >DEBIAN/md5sums)
size=$(du --summarize --apparent-size --block-size=1024 "$root" | cut -f1)
sed "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size/" deploy/debian/control >"$root/DEBIAN/control"
chmod --recursive u=rwX,go=rX "$root"
find "$root" -exec touch --no-dereference --date=@"$SOURCE_DATE_EPOCH" {} +
# With one thread, as blocks of several depend on how many there are.
file=$out/edge-runtime_${version}_$architecture.deb
dpkg-deb --root-owner-group --threads-max=1 -Zxz --build "$root" "$file" >/dev/null
echo "$file"
