#!/bin/bash
# Assembles the distribution from what Maven and make have built. Usage: dist.sh DIRECTORY
# Beside DIRECTORY it leaves rund-VERSION.tar.zst. Nothing is done again whose inputs are the same.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
dist=$(realpath -m "$1")
version=$(sed -n 's|^  <version>\(.*\)</version>|\1|p' "$root/pom.xml")
tarball=$(dirname "$dist")/rund-$version.tar.zst

say() { printf 'dist: %s\n' "$*" >&2; }

kernel=$("$root/native/guest-kernel/build.sh")
initramfs=$("$root/native/guest-image/build.sh")
jre=$("$root/shim-v2/jre.sh")

# Copies with the time of the original, which is how the AOT cache recognises a library; an equal file keeps the
# time it has, since Maven makes its jars anew without need.
put() {
  local mode=$1 source=$2 target=$3
  if ! cmp -s "$source" "$target"; then
    mkdir -p "$(dirname "$target")"
    rm -f "$target"
    cp --preserve=timestamps "$source" "$target"
    changed=yes
  fi
  chmod "$mode" "$target"
}

put_libraries() {
  local jar native=com/sun/jna/linux-x86-64/libjnidispatch.so
  for jar in "$root"/shim-v2/target/dist-lib/*.jar; do
    put 644 "$jar" "$dist/lib/${jar##*/}"
  done
  put 644 "$root/shim-v2/target/shim-v2-$version.jar" "$dist/lib/rund.jar"
  for jar in "$dist"/lib/*.jar; do
    if [ "${jar##*/}" != rund.jar ] && [ ! -f "$root/shim-v2/target/dist-lib/${jar##*/}" ]; then
      rm "$jar"
      changed=yes
    fi
  done
  # Unpacked here, JNA need not unpack it into a temporary file at each start.
  (cd "$root/target" && "$JAVA_HOME/bin/jar" --extract --file "$root"/shim-v2/target/dist-lib/jna-*.jar "$native")
  put 644 "$root/target/$native" "$dist/lib/libjnidispatch.so"
  rm -r "$root/target/com"
}

put_runtime() {
  if [ "$(cat "$dist/jre/.key" 2>/dev/null)" != "$jre" ]; then
    rm -rf "$dist/jre"
    cp -a "$jre" "$dist/jre"
    echo "$jre" >"$dist/jre/.key"
    changed=yes
  fi
}

put_files() {
  put 755 "$root/native/target/containerd-shim-rund-v2" "$dist/bin/containerd-shim-rund-v2"
  put 755 "$root/native/target/rund-anchor" "$dist/libexec/rund-anchor"
  put 755 "$root/shim-v2/src/main/dist/bin/rund" "$dist/bin/rund"
  put 755 "$root/shim-v2/src/main/dist/libexec/rund-engine" "$dist/libexec/rund-engine"
  put 644 "$root/shim-v2/src/main/dist/etc/rund.toml" "$dist/etc/rund.toml"
  put 644 "$kernel" "$dist/share/vmlinux"
  put 644 "$initramfs" "$dist/share/initramfs.cpio"
  put 644 "$root/LICENSE" "$dist/share/doc/LICENSE"
  local page
  for page in "$root"/{README,CONTRIBUTING,docs/*}.md "$root"/docs/benchmarks/charts/*.svg; do
    put 644 "$page" "$dist/share/doc/${page#"$root"/}"
  done
}

mkdir -p "$dist" "$root/target"
changed=no
put_libraries
put_runtime
if [ $changed = yes ]; then
  rm -f "$dist"/lib/*.aot
fi
put_files
if [ ! -f "$dist/lib/engine.aot" ] || [ ! -f "$dist/lib/rund.aot" ]; then
  "$root/shim-v2/train.sh" "$dist"
  changed=yes
fi
if [ $changed = yes ] || [ ! -f "$tarball" ]; then
  say "packing ${tarball##*/}"
  tar -C "$(dirname "$dist")" --owner=0 --group=0 --sort=name -cf - "${dist##*/}" | zstd -q -f -T0 -3 -o "$tarball"
fi
say "ready in $dist ($(du -sh "$dist" | cut -f1), packed $(du -h "$tarball" | cut -f1))"
