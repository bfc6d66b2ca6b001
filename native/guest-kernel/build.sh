#!/bin/bash
# Builds the guest kernel and prints the path of the ELF `vmlinux` (progress goes to stderr).
# Source: Debian's linux-source package. Result: $RUND_CACHE/guest-kernel/<hash>/vmlinux, and the
# stable link $RUND_CACHE/guest-kernel/vmlinux. The hash covers source version, config.fragment, patches and this file.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${RUND_CACHE:-$HOME/.cache/rund}/guest-kernel
say() { printf 'guest-kernel: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

for package in linux-source-6.12 linux-source-6.1; do
  version=$(apt-cache show --no-all-versions "$package" 2>/dev/null | sed -n 's/^Version: //p' | head -n 1)
  [ -z "$version" ] || break
done
[ -n "$version" ] || die "apt knows neither linux-source-6.12 nor linux-source-6.1: run 'apt-get update' (or 'make setup')"

key=$(cat - "$here/config.fragment" "$here"/*.patch "$here/build.sh" <<<"$package $version" | sha256sum | cut -c1-16)
out=$cache/$key

finish() {
  ln -sfn "$key/vmlinux" "$cache/vmlinux"
  echo "$out/vmlinux"
  exit
}

[ ! -s "$out/vmlinux" ] || finish
mkdir -p "$cache"
exec 9>"$cache/lock"
flock -n 9 || { say "another build is running, waiting for it"; flock 9; }
[ ! -s "$out/vmlinux" ] || finish

for tool in flex bison bc make gcc xz patch; do
  command -v "$tool" >/dev/null || die "'$tool' is missing: run 'make setup'"
done

# A build that was interrupted leaves its folder; the lock says it is nobody's now.
rm -rf "$cache"/build.*
work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

deb=$cache/${package}_${version//:/%3a}.deb
if [ ! -s "$deb" ]; then
  say "fetching $package $version (150 MB)"
  (cd "$work" && apt-get -q download "$package=$version" >&2) || die "cannot fetch $package $version: is the mirror reachable?"
  mv "$work"/*.deb "$deb"
fi

say "unpacking $package $version"
dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work" --wildcards --strip-components=3 "./usr/src/$package.tar.xz"
# Two fifths of the tree cannot be reached from this configuration.
mkdir "$work/src"
tar -xJf "$work/$package.tar.xz" -C "$work/src" --strip-components=1 --wildcards \
  --exclude='*/Documentation/*/*' --exclude='*/tools/testing/*' --exclude='*/drivers/gpu/drm/*/*.[ch]' \
  --exclude='*/drivers/net/ethernet/*/*.[ch]' --exclude='*/drivers/net/wireless/*/*.[ch]' \
  --exclude='*/drivers/media/*/*.[ch]' --exclude='*/sound/*/*.[ch]' --exclude="$package/arch/[!x]*/*.[chS]"
rm "$work/$package.tar.xz"
cd "$work/src"
for patch in "$here"/*.patch; do
  if patch -sp1 --dry-run <"$patch" >/dev/null; then
    patch -sp1 <"$patch" >&2
  elif [ "$package" = linux-source-6.1 ]; then
    say "${patch##*/} does not fit $package $version: left out"
  else
    die "${patch##*/} does not fit $package $version"
  fi
done

export KBUILD_BUILD_TIMESTAMP='1970-01-01 00:00:00 UTC' KBUILD_BUILD_USER=rund KBUILD_BUILD_HOST=rund
cp "$here/config.fragment" "$work/fragment"
if [ "$package" = linux-source-6.1 ]; then
  # The same mitigations under their older names.
  sed -n 's/^CONFIG_MITIGATION_\(.*\)/CONFIG_\1\nCONFIG_CPU_\1/p' \
    "$here/config.fragment" >>"$work/fragment"
fi
make -s allnoconfig KCONFIG_ALLCONFIG="$work/fragment" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "configuration failed"; }
lost=$(grep '^CONFIG_' "$here/config.fragment" | grep -vxFf .config || true)
if [ -n "$lost" ]; then
  say "not accepted by $package $version (a dependency is missing, or the option has another name):"$'\n'"$lost"
  # 6.1 has other names for some, and no BPF JIT without modules; 6.12 must have all.
  [ "$package" = linux-source-6.1 ] || exit 1
fi

say "compiling on $(nproc) CPUs, about 5 minutes on two"
make -j"$(nproc)" vmlinux 2>&1 | tee "$work/log" |
  awk '{ n++ } n % 250 == 0 { printf "guest-kernel: %d steps, at %s\n", n, $NF > "/dev/stderr" }' ||
  { tail -n 30 "$work/log" >&2; die "compilation failed"; }

mkdir "$work/out"
# Symbols and relocations go; the notes stay, since one of them is the PVH entry point.
objcopy --strip-all --remove-section=.comment vmlinux "$work/out/vmlinux"
readelf -n "$work/out/vmlinux" 2>/dev/null | grep -q Xen || die "the kernel has no PVH note"
cp .config "$work/out/config"
rm -rf "$out"
mv "$work/out" "$out"
say "done: $(stat -c %s "$out/vmlinux" | numfmt --to=iec) in $SECONDS s"
finish
