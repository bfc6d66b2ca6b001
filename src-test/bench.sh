#!/bin/bash
# Runs the benchmarks (docs/specification.md): raw data and plots go to target/bench, a table to standard output.
# B1 and B10 run in the lab, B7 on this machine's /dev/kvm. RUND_BENCH_PAIRS=7 pairs are measured of each.
set -euo pipefail

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
root=$(realpath "$here/..")
dist=$root/target/dist/rund
results=$root/target/bench
pairs=${RUND_BENCH_PAIRS:-7}

say() { printf 'bench: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

[ -d "$dist/lib" ] || die "rund is not built: run 'make build'"
java=("$(JAVA_HOME="${JAVA_HOME:-}" "$root/native/setup.sh" --java-home)/bin/java" --enable-native-access=ALL-UNNAMED
  --sun-misc-unsafe-memory-access=allow -XX:+UseSerialGC
  -cp "$here/target/test-classes:$root/hypervisor-kvm/target/test-classes:$dist/lib/*")
[ -d "$here/target/test-classes/io/rund/bench" ] || die "the benchmarks are not built: run 'make build'"

rm -rf "$results"
mkdir -p "$results"
make --no-print-directory -s -C "$root/native" bench
gcc -std=c17 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -static -o "$results/qemu-boot" "$here/bench/qemu-boot.c"

say "B7: exits of a VM, on this machine"
"${java[@]}" io.rund.bench.ExitBenchmark "$root/native/target/kvm-exit" "$pairs" "$results"

say "B1: cold boots, in the lab ($("$here/lab/lab" up && cat "${RUND_CACHE:-$HOME/.cache/rund}/lab/run/mode"))"
"$here/lab/lab" exec -- "${java[@]}" io.rund.bench.ColdBootBenchmark "$dist" "$results/qemu-boot" "$pairs" "$results"
rm "$results/qemu-boot"

say "B10: a shared folder, in the lab"
mkdir -p "$results/image/proc" "$results/image/dev" "$results/image/mnt"
gcc -std=c17 -O2 -Wall -Wextra -Werror -static -o "$results/image/init" "$here/bench/fs-bench.c"
(cd "$results/image" && find . | cpio --quiet --create --format=newc) >"$results/fs-bench.cpio"
"$here/lab/lab" exec -- "${java[@]}" io.rund.bench.FileSharingBenchmark "$dist/share/vmlinux" "$results/fs-bench.cpio" /tmp/rund-bench "$pairs" "$results"
rm -r "$results/image" "$results/fs-bench.cpio"

echo
"${java[@]}" io.rund.bench.Table "$results"
say "raw data and plots: $results. In the lab, an emulated machine, exits weigh heavier than on hardware: only the"
say "ratio counts, and the same command on a machine with KVM tells more."
