# shellcheck shell=bash
# Fills $lab/root: the packages of root-packages, unpacked, and the lab's initramfs. Sourced by `lab`.

# Prints the names in a package list, without comments.
package_names() { sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$1"; }

root_up() {
  local names kernel stamp
  mapfile -t names < <(package_names "$here/root-packages")
  # The metapackage's only content is the name of the current kernel's package.
  kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [ -n "$kernel" ] || die "apt does not know linux-image-cloud-amd64: run 'apt-get update' (or 'make setup')"
  names=("${names[@]/linux-image-cloud-amd64/$kernel}")
  stamp=$( (cd /tmp && apt-get download --print-uris "${names[@]}"; cat "$here/root.sh" "$here/init" "$bin/agent") 2>/dev/null | sha256sum | cut -c1-16)
  if [ "$(cat "$lab/root.stamp" 2>/dev/null)" != "$stamp" ]; then
    root_build "$kernel" "${names[@]}"
    echo "$stamp" >"$lab/root.stamp"
  fi
}

root_build() {
  local kernel=$1 new=$lab/root.new deb
  shift
  say "fetching and unpacking $# packages for the lab (kernel, containerd, runc ...)"
  rm -rf "$new" "$lab/root.stamp"
  mkdir -p "$new/debs" "$new/usr/bin" "$new/usr/sbin" "$new/usr/lib"
  # Debian's /bin, /sbin and /lib are links; some of its packages still carry files there.
  ln -s usr/bin usr/sbin usr/lib "$new/"
  (cd "$new/debs" && apt-get -q download "$@" >"$lab/apt.log" 2>&1) || { tail -n 5 "$lab/apt.log" >&2; die "apt could not fetch the lab's packages"; }
  for deb in "$new"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$new" --keep-directory-symlink \
      --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*'
  done
  rm -rf "$new/debs"
  kmod "$new" depmod -b "$new" "${kernel#linux-image-}"
  initramfs "$new" "${kernel#linux-image-}"
  mv "$new/boot/vmlinuz-${kernel#linux-image-}" "$lab/vmlinuz"
  rm -rf "$lab/root" "$new/boot"
  mv "$new" "$lab/root"
}

# kmod ROOT NAME ARGUMENTS...: runs the kmod unpacked in ROOT, which learns from the name it is called by what to do.
kmod() {
  local root=$1 name=$2
  shift 2
  (export LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu && exec -a "$name" "$root/usr/bin/kmod" "$@")
}

# initramfs ROOT KERNEL: busybox, our init, and the modules that reach the real root.
initramfs() {
  local root=$1 kernel=$2 tree=$1/initramfs module
  mkdir -p "$tree/bin" "$tree/modules"
  cp /bin/busybox "$bin/agent" "$tree/bin/"
  install -m 755 "$here/init" "$tree/init"
  for module in virtio_pci fuse virtiofs overlay virtio_net; do
    kmod "$root" modprobe -d "$root" -S "$kernel" --show-depends "$module"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r module; do
    cp "$module" "$tree/modules/"
    basename "$module" >>"$tree/modules/order"
  done
  (cd "$tree" && find . | cpio --quiet -o -H newc) >"$lab/initramfs.cpio"
  rm -rf "$tree"
}
