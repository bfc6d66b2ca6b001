# shellcheck shell=bash
# Packages of another release of Debian than this machine's, unpacked and never installed. Sourced by `lab`.

# debian_unpack FOLDER SUITE PACKAGE...: fills FOLDER anew. The machine's own lists and sources are not touched.
debian_unpack() {
  local folder=$1 suite=$2
  shift 2
  debian_fetch "$folder" "$suite" printf '%s\n' "$@"
}

# debian_unpack_whole FOLDER SUITE PACKAGE...: with all that they depend on, down to the C library.
debian_unpack_whole() {
  local folder=$1 suite=$2
  shift 2
  debian_fetch "$folder" "$suite" debian_closure "$suite" "$@"
}

# debian_closure SUITE PACKAGE...: what apt would install on an empty machine, as NAME=VERSION.
debian_closure() {
  local suite=$1
  shift
  apt-get "${own[@]}" -o Dir::State::status=/dev/null -s --no-install-recommends install "${@/%//$suite}" | sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p'
}

# debian_fetch FOLDER SUITE COMMAND...: COMMAND prints the packages, one a line; with `own`, apt knows SUITE and what it is based on.
debian_fetch() {
  local folder=$1 suite=$2 new=$1.new codename archive deb own names
  shift 2
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  # shellcheck disable=SC2016  # apt's own variables
  archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Codename: $codename" 'Component: main' 2>/dev/null | head -n 1)
  [ -n "$archive" ] || die "apt knows no archive of Debian $codename: add one to its sources and run 'apt-get update'"
  say "fetching and unpacking $(basename "$folder") ($suite)"
  rm -rf "$new"
  mkdir -p "$new/lists/partial" "$new/debs"
  cat >"$new/debian.sources" <<END
Types: deb
URIs: $archive
Suites: ${suite%-backports} $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
  own=(-o "Dir::Etc::SourceList=$new/debian.sources" -o Dir::Etc::SourceParts=/nonexistent -o "Dir::State::Lists=$new/lists"
    -o Dir::Cache::PkgCache= -o Dir::Cache::SrcPkgCache= -o APT::Sandbox::User=root)
  (apt-get "${own[@]}" -q update && mapfile -t names < <("$@") && [ ${#names[@]} -gt 0 ] && cd "$new/debs" && apt-get "${own[@]}" -q download "${names[@]}") >"$lab/apt.log" 2>&1 ||
    { tail -n 5 "$lab/apt.log" >&2; die "apt could not fetch $(basename "$folder") from $suite"; }
  for deb in "$new"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$new" --keep-directory-symlink --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*'
  done
  rm -rf "$new/lists" "$new/debs" "$new/debian.sources" "$folder"
  mv "$new" "$folder"
}

# The containerd that RUND_CONTAINERD asks for, if another than that of this machine's release, in $lab/containerd/VERSION.
containerd_fetch() {
  local suite
  case ${RUND_CONTAINERD:-} in
    '') return 0 ;;
    1.6) suite=bookworm ;;
    1.7) suite=trixie ;;
    2) suite=sid ;;
    *) die "RUND_CONTAINERD=$RUND_CONTAINERD: use 1.6, 1.7, 2 or nothing" ;;
  esac
  [ -x "$lab/containerd/$RUND_CONTAINERD/usr/bin/containerd" ] && return
  mkdir -p "$lab/containerd"
  debian_unpack "$lab/containerd/$RUND_CONTAINERD" "$suite" containerd
}
