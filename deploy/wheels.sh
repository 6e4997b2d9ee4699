# shellcheck shell=bash
# Wheels for a target, picked on any machine by pip's tags; sourced after target.sh, with $target and $python (3.11) set.
#
# wheels: pip's options for it. compile_msgspec FOLDER: the wheel that the index lacks for armv7l, cross-built.
wheels=(--only-binary=:all: --implementation cp --python-version "$python" --abi "cp${python/./}" --abi abi3 --abi none)
for system in linux manylinux2014 manylinux_2_17 manylinux_2_27 manylinux_2_28 manylinux_2_31 manylinux_2_34; do
    wheels+=(--platform "${system}_$target")
done

compile_msgspec() {
    "$tools/bin/pip" download --quiet --no-deps --no-binary :all: --no-build-isolation --dest "$1" "msgspec>=0.19,<1"
    tar --extract --directory "$1" --file "$1"/msgspec-*.tar.gz
    "$here/cross_build.sh" "$target" "$1"/msgspec-*/ "$1"
}
