#!/bin/bash
# The image of real programs: dpkg, git, sqlite3, redis, tar and coreutils from Debian's packages, 50 small packages in
# /packages to unpack, busybox, and the programs given, in /test. Usage: files.sh [PROGRAM...]
# Prints the path of the OCI archive; its reference is docker.io/rund/files:latest.
. "$(dirname "${BASH_SOURCE[0]}")/oci.sh"

packages=dpkg,git,sqlite3,redis-server,redis-tools,tar,coreutils,libc-bin,busybox-static
# All kinds: libraries, headers, scripts, fonts, documentation, with and without maintainer scripts and configuration files.
unpacked=(cronutils members python3-cffsubr dh-exec libtopic-tools-dev python-certbot-dns-route53-doc elpa-eproject matchbox-keyboard-im
  fonts-f500 fortunes-bofh-excuses steam-devices shiki-human-theme r-cran-mvnormtest golang-github-creack-pty-dev
  golang-github-juju-usso-dev fbcat pngmeta libghc-timeit-dev lua-cosmo slang-expat gir1.2-gssdp-1.6 libservlet3.1-java
  node-grunt-contrib-concat node-seq leds-alix-source libcorkipset-dev libnuma1 libdebconfclient0 cl-move-base-msgs elpa-xcite
  mathlibtools med-imaging munin-plugins-btrfs libshout-ocaml libclone-perl libmail-rbl-perl php-pimple python3-morph python3-staticconf
  ruby-crack ruby-maxminddb librust-mime-dev mpb-scm mp3rename dictem mkdocs-nature dumb-init cleancss xcolors toilet)
for program in "$@"; do [ -f "$program" ] || die "no such program: $program"; done
# shellcheck disable=SC2086
mapfile -t versions < <(apt-cache show --no-all-versions ${packages//,/ } "${unpacked[@]}" | sed -n 's/^Version: //p')
[ ${#versions[@]} = 59 ] || die "apt does not know all of the packages: run 'apt-get update' (or 'make setup')"
image_begin files "${versions[@]}" "$image_files/files/programs" "$@"

command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: run 'make setup'"
say "building the image of real programs from Debian packages (a minute)"
# From the same mirrors as this machine's own packages. Extracted only: no maintainer script runs.
# shellcheck disable=SC2016
sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' | sort -u)
mmdebstrap --quiet --mode=root --variant=extract --include="$packages" \
  "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$work/debian" - <<<"$sources" >&2 || die "mmdebstrap failed"
mkdir -p "$root/packages" "$root/test"
(cd "$root/packages" && apt-get -q -o APT::Sandbox::User=root download "${unpacked[@]}" >&2) || die "apt-get download failed"
# The programs and the libraries that they load; the rest is what installing them would need.
for program in /usr/bin/{redis-server,redis-cli,git,sqlite3,dpkg,dpkg-deb,dpkg-split,dpkg-query,update-alternatives} /bin/tar \
  /bin/{ls,cp,mv,rm,ln,mkdir,chmod,chown,cat,touch,sync,dd,df,readlink} /usr/bin/{stat,sort,sha256sum,head,tail,install,truncate,du}; do
  chroot "$work/debian" /lib64/ld-linux-x86-64.so.2 --list "$program" | grep -o '/[^ ]*'
  echo "$program"
done | sort -u | while read -r file; do install -D "$work/debian$file" "$root$file"; done
for file in /bin/busybox /sbin/start-stop-daemon /sbin/ldconfig /usr/bin/dpkg-maintscript-helper; do
  install -D "$work/debian$file" "$root$file"
done
mkdir -p "$root/usr/lib/git-core" "$root/usr/share/dpkg"
cp "$work"/debian/usr/share/dpkg/*table "$root/usr/share/dpkg/"
ln -s ../../bin/git "$root/usr/lib/git-core/git"
ln -s git "$root/usr/bin/git-upload-pack"
mkdir -p "$root"/var/lib/dpkg/{info,updates,triggers,parts}
touch "$root"/var/lib/dpkg/{status,available}
install -m 755 "$image_files/files/programs" "$@" "$root/test/"
image_base
image_write docker.io/rund/files:latest '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/test"],
 "Cmd":["/bin/sh"],"WorkingDir":"/"}'
