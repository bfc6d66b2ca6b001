#!/bin/sh
# Builds crun, the container executor, as a static binary from Debian's source package, and prints its path.
#
# Debian's own is linked against libsystemd, libyajl, libseccomp and libcap; in a guest without these a static one
# is smaller and starts sooner (docs/guest.md has the figures). The machine's apt configuration is only read:
# source packages are fetched with a sources list of our own.
set -eu

cache=${RUND_CACHE:-$HOME/.cache/rund}/crun
here=$(cd "$(dirname "$0")" && pwd)
version=$(apt-cache show --no-all-versions crun 2>/dev/null | sed -n 's/^Version: //p')
key=$({ cat "$here/crun.sh"; echo "$version"; gcc -dumpfullversion; } | sha256sum | cut -c1-16)
binary=$cache/$key/crun

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ -x "$binary" ]; then
    echo "$binary"
    exit 0
fi

say() {
    echo "crun: $*" >&2
}

work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work"

# The archive that crun's binary package comes from.
# shellcheck source=/dev/null
. /etc/os-release
find_archive() {
    # shellcheck disable=SC2016  # apt's own variables
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
        "Codename: $VERSION_CODENAME" 'Component: main' 2>/dev/null | head -n 1
}
archive=$(find_archive)
if [ -z "$archive" ]; then
    apt-get -qq update || true
    archive=$(find_archive)
fi
if [ -z "$archive" ]; then
    say "apt knows no archive with Debian's packages: add one to its sources and run 'apt-get update'"
    exit 1
fi
mkdir -p lists/partial
cat >debian.sources <<EOF
Types: deb-src
URIs: $archive
Suites: $VERSION_CODENAME
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
EOF
own_lists="-o Dir::Etc::SourceList=$work/debian.sources -o Dir::Etc::SourceParts=/nonexistent
    -o Dir::State::Lists=$work/lists -o Dir::Cache::PkgCache= -o Dir::Cache::SrcPkgCache= -o APT::Sandbox::User=root"

run() {
    if ! "$@" >>"$work/log" 2>&1; then
        tail -n 30 "$work/log" >&2
        say "failed: $*"
        exit 1
    fi
}

say "fetching the source of crun ${version:-(version unknown)}"
# shellcheck disable=SC2086
run apt-get $own_lists update
# shellcheck disable=SC2086
run apt-get $own_lists source --download-only crun
run dpkg-source -x crun_*.dsc source

say "building it, about a minute"
cd source
# libgcrypt is for a cache of seccomp programs that we do not use; criu and dlopen have no place in the guest.
export CFLAGS="-Os -ffunction-sections -fdata-sections"
# crun's own files look for yajl's headers where Debian's libyajl-dev puts them, not in the copy that is linked.
yajl=$(find "$PWD/libocispec" -path '*/yajl/yajl_tree.h' | head -n 1)
if [ -z "$yajl" ]; then
    say "crun's source has no yajl of its own: look in $PWD/libocispec for yajl_tree.h"
    exit 1
fi
export CPPFLAGS="-I${yajl%/yajl/yajl_tree.h}"
# A user that /etc/passwd does not have gets HOME=/, as with runc. crun 1.8.1 means to do so, and returns before it does.
run sed -i '/^set_home_env/,/^}/ { /errno == ENOENT/ { n; s/return 0;/goto exit;/ } }' src/libcrun/utils.c
run env ac_cv_search_gcry_check_version=no ./configure --disable-silent-rules --disable-shared --enable-static \
    --disable-systemd --disable-criu --disable-dl --enable-embedded-yajl
run make -j"$(nproc)" LDFLAGS="-all-static -Wl,--gc-sections"
run strip crun
run ./crun --version

mkdir -p "$work/result"
mv crun "$work/result/crun"
rm -rf "${cache:?}/$key"
mv "$work/result" "$cache/$key"
say "done: $(stat -c %s "$binary") bytes"
echo "$binary"
