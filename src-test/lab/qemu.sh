# shellcheck shell=bash
# The QEMU that emulates the lab. Sourced by `lab`.
#
# Debian 12's, 7.2, does not do: with two guests at work the lab's kernel stood still ("soft lockup" on both CPUs, in
# KVM_RUN), and JVMs ended with SIGILL in code that they had just compiled. So there it is the one of Debian's
# backports, unpacked (never installed) into $lab/qemu.

qemu_archive() {
  # shellcheck disable=SC2016  # apt's own variables
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Codename: $1" 'Component: main' 2>/dev/null | head -n 1
}

# Sets $qemu, the command.
qemu_up() {
  local codename major
  command -v qemu-system-x86_64 >/dev/null || die "qemu-system-x86_64 is missing: run 'make setup'"
  qemu=(qemu-system-x86_64)
  major=$(qemu-system-x86_64 --version | sed -n '1s/.*version \([0-9]*\).*/\1/p')
  [ "$major" -lt 8 ] || return 0
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  [ -x "$lab/qemu/usr/bin/qemu-system-x86_64" ] || qemu_fetch "$codename"
  qemu=("$lab/qemu/usr/bin/qemu-system-x86_64" -L "$lab/qemu/usr/share/qemu" -L "$lab/qemu/usr/share/seabios")
}

qemu_fetch() {
  local codename=$1 new=$lab/qemu.new archive deb own
  archive=$(qemu_archive "$codename")
  [ -n "$archive" ] || die "apt knows no archive of Debian $codename: add one to its sources and run 'apt-get update'"
  say "fetching and unpacking a newer QEMU ($codename-backports)"
  rm -rf "$new"
  mkdir -p "$new/lists/partial" "$new/debs"
  cat >"$new/debian.sources" <<END
Types: deb
URIs: $archive
Suites: $codename-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
  # The machine's own lists and sources are not touched.
  own=(-o "Dir::Etc::SourceList=$new/debian.sources" -o Dir::Etc::SourceParts=/nonexistent -o "Dir::State::Lists=$new/lists"
    -o Dir::Cache::PkgCache= -o Dir::Cache::SrcPkgCache= -o APT::Sandbox::User=root)
  (apt-get "${own[@]}" -q update && cd "$new/debs" &&
    apt-get "${own[@]}" -q download qemu-system-x86 qemu-system-data seabios) >"$lab/apt.log" 2>&1 ||
    { tail -n 5 "$lab/apt.log" >&2; die "apt could not fetch QEMU from $codename-backports"; }
  for deb in "$new"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$new" --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*'
  done
  rm -rf "$new/lists" "$new/debs" "$new/debian.sources" "$lab/qemu"
  mv "$new" "$lab/qemu"
}
