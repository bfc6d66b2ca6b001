#!/bin/bash
# The image of the demonstration: redis-server and redis-tools from Debian's packages, and busybox.
# Prints the path of the OCI archive; its reference is docker.io/rund/redis:latest.
. "$(dirname "${BASH_SOURCE[0]}")/oci.sh"

packages=redis-server,redis-tools,busybox-static
mapfile -t versions < <(apt-cache show --no-all-versions ${packages//,/ } | sed -n 's/^Version: //p')
[ ${#versions[@]} = 3 ] || die "apt does not know $packages: run 'apt-get update' (or 'make setup')"
image_begin redis "${versions[@]}"

command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: run 'make setup'"
say "building the redis image from Debian packages (half a minute)"
# From the same mirrors as this machine's own packages. Extracted only: no maintainer script runs.
# shellcheck disable=SC2016
sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' | sort -u)
mmdebstrap --quiet --mode=root --variant=extract --include="$packages" \
  "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$work/debian" - <<<"$sources" >&2 || die "mmdebstrap failed"
# The programs and the libraries that they load; the rest is what installing them would need.
mkdir -p "$root/var/lib/redis"
for program in redis-server redis-cli redis-benchmark; do
  chroot "$work/debian" /lib64/ld-linux-x86-64.so.2 --list "/usr/bin/$program" | grep -o '/[^ ]*'
  echo "/usr/bin/$program"
done | sort -u | while read -r file; do install -D "$work/debian$file" "$root$file"; done
install -D "$work/debian/bin/busybox" "$root/bin/busybox"
image_base
image_write docker.io/rund/redis:latest '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
 "Entrypoint":["redis-server"],"Cmd":["--save","","--appendonly","no"],"WorkingDir":"/var/lib/redis","ExposedPorts":{"6379/tcp":{}}}'
