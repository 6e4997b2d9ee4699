# What each tool calls a target; sourced with its name (aarch64, armv7l or x86_64) in $target.
#
# debian: the architecture of packages; triplet: compiler and folders; flags: for the compiler,
# beyond the project's own; packages: what apt must give the machine that builds; libraries: Debian's for the userland,
# of what the index has no wheels for.
case $target in
aarch64)
    debian=arm64 triplet=aarch64-linux-gnu flags= libraries=
    packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;;
armv7l)
    debian=armhf triplet=arm-linux-gnueabihf
    # The alignment is for kernels with pages of 16 KiB, which a Pi 5 runs.
    flags="-march=armv7-a -mfpu=neon -mfloat-abi=hard -Wl,-z,max-page-size=65536"
    packages="gcc-arm-linux-gnueabihf libc6-dev-armhf-cross"
    libraries="python3-cffi-backend python3-numpy python3-pil" ;;
x86_64)
    debian=amd64 triplet=x86_64-linux-gnu flags= packages="gcc libc6-dev" libraries= ;;
*)
    echo "deploy: target '$target' is unknown, use aarch64, armv7l or x86_64" >&2
    exit 2 ;;
esac
