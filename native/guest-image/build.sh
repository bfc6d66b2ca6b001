#!/bin/sh
# Builds the guest's operating system, an initramfs with the agent as /init and crun, and prints its path.
#
# The cpio is not compressed (docs/guest.md says why). Equal inputs give equal bytes.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${RUND_CACHE:-$HOME/.cache/rund}/guest-image
agent_out=${AGENT_OUT:-$here/../agent/build}

say() {
    echo "guest image: $*" >&2
}

make --no-print-directory -s -C "$here/../agent" OUT="$agent_out" all >&2
agent=$agent_out/rund-agent
crun=$("$here/crun.sh")
key=$(cat "$here/build.sh" "$agent" "$crun" | sha256sum | cut -c1-16)
image=$cache/$key/initramfs.cpio

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -f "$image" ]; then
    work=$(mktemp -d "$cache/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' INT TERM
    root=$work/root
    # Mount points and little else: the kernel's built-in initramfs brings /dev/console.
    mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/run" "$root/tmp" "$root/newroot" "$root/etc"
    install -m 755 "$agent" "$root/init"
    install -m 755 "$crun" "$root/bin/crun"
    find "$root" -exec touch -h -d @0 {} +
    mkdir "$work/result"
    (cd "$root" && find . -mindepth 1 | LC_ALL=C sort |
        cpio --quiet --create --format=newc --reproducible --owner=0:0) >"$work/result/initramfs.cpio"
    mv "$work/result" "$cache/$key"
    say "made, $(stat -c %s "$image") bytes"
fi
ln -sfn "$key/initramfs.cpio" "$cache/initramfs.cpio.new"
mv -T "$cache/initramfs.cpio.new" "$cache/initramfs.cpio"
# The images of earlier builds, but for those of the last day: a sandbox may be starting from one.
find "$cache" -mindepth 1 -maxdepth 1 -type d ! -name "$key" -mmin +1440 -exec rm -rf {} +
echo "$cache/initramfs.cpio"
