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
  "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" - <<<"$sources" >&2 || die "mmdebstrap failed"
# Dependencies of installation, not of redis.
(cd "$root" && rm -rf usr/share usr/lib/*/perl* usr/lib/*/libperl* usr/bin/*perl* usr/bin/{dpkg,deb,apt}* var/{cache,lib,log}/* \
  etc/apt etc/cron* etc/init.d etc/logrotate.d lib/systemd lib/udev boot home media mnt opt srv)
mkdir -p "$root/var/lib/redis"
image_base
image_write docker.io/rund/redis:latest '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
 "Entrypoint":["redis-server"],"Cmd":["--save","","--appendonly","no"],"WorkingDir":"/var/lib/redis","ExposedPorts":{"6379/tcp":{}}}'
