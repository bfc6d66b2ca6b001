# shellcheck shell=bash
# Makes OCI image archives, the same bytes from the same files. Sourced by the image scripts, which print the
# path of $RUND_CACHE/images/<name>-<key>.tar, and keep <name>.tar pointing at the newest.
set -euo pipefail

images=${RUND_CACHE:-$HOME/.cache/rund}/images
image_files=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { printf 'image: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# image_begin NAME INPUT...: prints the cached archive and exits, or leaves an empty root folder in $root.
# An input is a file, or a text such as a package's version.
image_begin() {
  local input key
  image=$1
  shift
  key=$(for input in "$image_files/oci.sh" "$image_files/$image.sh" "$@"; do
    if [ -f "$input" ]; then echo "${input##*/}"; cat "$input"; else echo "$input"; fi
  done | sha256sum | cut -c1-16)
  archive=$images/$image-$key.tar
  mkdir -p "$images"
  exec 9>"$images/$image.lock"
  flock -n 9 || { say "another build of $image is running, waiting for it"; flock 9; }
  if [ -s "$archive" ]; then image_end; exit; fi
  # An interrupted build leaves its folder; the lock says it is nobody's now.
  rm -rf "$images/build-$image".*
  work=$(mktemp -d "$images/build-$image.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM
  root=$work/root
  mkdir "$root"
}

image_end() {
  ln -sfn "${archive##*/}" "$images/$image.tar"
  echo "$archive"
}

# The folders and accounts that programs expect, and a busybox with its applets beside what is there already.
image_base() {
  local applet
  (cd "$root" && mkdir -p bin dev etc proc root run sys tmp usr/bin usr/sbin var/tmp && chmod 1777 tmp var/tmp && chmod 700 root)
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
  [ -e "$root/bin/busybox" ] || cp "$(command -v busybox)" "$root/bin/busybox" || die "busybox is missing: run 'make setup'"
  for applet in $("$root/bin/busybox" --list); do
    [ -e "$root/bin/$applet" ] || [ -e "$root/usr/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
  done
}

# Files FILE as a blob; prints its digest.
blob() {
  local digest
  digest=$(sha256sum "$1" | cut -d ' ' -f 1)
  mv "$1" "$work/oci/blobs/sha256/$digest"
  echo "$digest"
}

# image_write REFERENCE CONFIG: packs $root as the only layer, not compressed. CONFIG is the JSON of the OCI "config".
image_write() {
  local layer config manifest size
  mkdir -p "$work/oci/blobs/sha256"
  tar -C "$root" --sort=name --mtime=@0 --numeric-owner --format=gnu -cf "$work/layer" .
  size=$(stat -c %s "$work/layer")
  layer=$(blob "$work/layer")
  cat >"$work/config" <<END
{"architecture":"amd64","os":"linux","config":$2,"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]}}
END
  local config_size
  config_size=$(stat -c %s "$work/config")
  config=$(blob "$work/config")
  cat >"$work/manifest" <<END
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
 "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$config_size},
 "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:$layer","size":$size}]}
END
  size=$(stat -c %s "$work/manifest")
  manifest=$(blob "$work/manifest")
  cat >"$work/oci/index.json" <<END
{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$manifest",
 "size":$size,"platform":{"architecture":"amd64","os":"linux"},
 "annotations":{"io.containerd.image.name":"$1","org.opencontainers.image.ref.name":"${1##*:}"}}]}
END
  printf '{"imageLayoutVersion":"1.0.0"}' >"$work/oci/oci-layout"
  tar -C "$work/oci" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/archive" .
  rm -f "$images/$image"-*.tar
  mv "$work/archive" "$archive"
  say "$1: $(du -sh --apparent-size "$root" | cut -f 1) unpacked"
  image_end
}
