#!/bin/bash
# Runs the benchmarks (docs/specification.md): raw data and plots go to target/bench, a table to standard output.
# B7 runs on this machine's /dev/kvm, the others in the lab. RUND_BENCH_PAIRS=7 pairs are measured of each;
# RUND_BENCH_ONLY=B2,B9 runs these, and leaves what is there of the others. RUND_BENCH_AT_ONCE=10,50 and
# RUND_BENCH_SANDBOXES=1,10,100 are the numbers of B4 and B5: 200 and 500 where memory allows (RUND_LAB_MEMORY).
# FIRECRACKER=PATH joins B1.
set -euo pipefail

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
root=$(realpath "$here/..")
dist=$root/target/dist/rund
results=$root/target/bench
work=$results/work
kernel=$dist/share/vmlinux
pairs=${RUND_BENCH_PAIRS:-7}
# A folder of the lab's own, on the file system that B8 and B10 measure.
scratch=/tmp/rund-bench

say() { printf 'bench: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

[ -d "$dist/lib" ] || die "rund is not built: run 'make build'"
java=("$(JAVA_HOME="${JAVA_HOME:-}" "$root/native/setup.sh" --java-home)/bin/java" --enable-native-access=ALL-UNNAMED
  --sun-misc-unsafe-memory-access=allow -XX:+UseSerialGC
  -cp "$here/target/test-classes:$root/hypervisor-kvm/target/test-classes:$dist/lib/*")
# One that only asks an engine. In the emulated lab it is not safe to compile a method twice (docs/lab.md).
client=("${java[@]}" -XX:TieredStopAtLevel=1)
[ -d "$here/target/test-classes/io/rund/bench" ] || die "the benchmarks are not built: run 'make build'"

in_lab() { "$here/lab/lab" exec -- "$@"; }
# Here the VMM of one of the two is in the benchmark's own JVM; there it is asked of an engine.
measure() { in_lab "${java[@]}" "io.rund.bench.$1" "${@:2}" "$pairs" "$results"; }
measure_engine() { in_lab "${client[@]}" "io.rund.bench.$1" "${@:2}" "${rounds:-$pairs}" "$results"; }
compile() { gcc -std=c17 -O2 -Wall -Wextra -Werror -static -o "$work/$1" "$here/bench/$1.c"; }

# guest NAME: compiles bench/NAME.c, and packs it as the init of an initramfs, NAME.cpio.
guest() {
  compile "$1"
  mkdir -p "$work/$1.image/proc" "$work/$1.image/dev" "$work/$1.image/mnt"
  cp "$work/$1" "$work/$1.image/init"
  (cd "$work/$1.image" && find . | cpio --quiet --create --format=newc) >"$work/$1.cpio"
}

b1() {
  compile vmm-boot
  # The lab sees the project's folder.
  [ -z "${FIRECRACKER:-}" ] || cp "$FIRECRACKER" "$work/firecracker"
  measure ColdBootBenchmark "$dist" "$work/vmm-boot" "${FIRECRACKER:+$work/firecracker}"
}

b2() {
  local archive
  archive=$("$here/images/test.sh")
  in_lab env CONTAINERD_NAMESPACE=bench ctr image import --snapshotter overlayfs "$archive" >/dev/null
  in_lab env CONTAINERD_NAMESPACE=bench "${client[@]}" io.rund.bench.EndToEndBenchmark docker.io/rund/test:latest $scratch "$pairs" "$results"
}

b3() { measure_engine CloneBenchmark $scratch; }

# A round of B4 or B5 is some hundred starts, so there are three at most.
b4() { rounds=$((pairs < 3 ? pairs : 3)) measure_engine ConcurrencyBenchmark $scratch "${RUND_BENCH_AT_ONCE:-10,50}"; }

b5() { rounds=$((pairs < 3 ? pairs : 3)) measure_engine DensityBenchmark $scratch "${RUND_BENCH_SANDBOXES:-1,10,100}"; }

b6() { measure_engine GuestOverheadBenchmark $scratch; }

b7() {
  make --no-print-directory -s -C "$root/native" bench
  "${java[@]}" io.rund.bench.ExitBenchmark "$root/native/target/kvm-exit" "$pairs" "$results"
}

# On ext4: in the emulated lab /tmp is a tmpfs, which is no place for disks.
b8() {
  guest disk-bench
  in_lab sh -c "mkdir -p $scratch/ext4 && truncate -s 512M $scratch/ext4.img && mkfs.ext4 -q $scratch/ext4.img &&
    mount -o loop $scratch/ext4.img $scratch/ext4"
  measure DiskBenchmark "$kernel" "$work/disk-bench.cpio" $scratch/ext4 || failed=1
  in_lab sh -c "umount $scratch/ext4 && rm $scratch/ext4.img"
  [ -z "${failed:-}" ]
}

b9() { guest net-bench; measure NetworkBenchmark "$kernel" "$work/net-bench.cpio" "$work/net-bench"; }

b10() {
  guest fs-bench
  measure FileSharingBenchmark "$kernel" "$work/fs-bench.cpio" $scratch/shared
  in_lab rm -r $scratch/shared
}

# benchmark ID WHAT: runs the function of that name, if it is wanted, and says how long it took.
benchmark() {
  local began=$SECONDS
  case ,${RUND_BENCH_ONLY:-$1}, in *,"$1",*) ;; *) return 0 ;; esac
  say "$1: $2"
  rm -f "$results/$1".* "$results/$1"-* "$results/charts/$1"-*
  "${1,,}"
  say "$1 took $((SECONDS - began)) s"
}

[ -n "${RUND_BENCH_ONLY:-}" ] || rm -rf "$results"
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
if [ "${RUND_BENCH_ONLY:-}" != B7 ]; then
  "$here/lab/lab" up
  say "the lab: $(cat "${RUND_CACHE:-$HOME/.cache/rund}/lab/run/mode")"
fi

benchmark B1 "cold boots"
benchmark B2 "ctr run, end to end"
benchmark B3 "clones"
benchmark B4 "clones at once, and beside others"
benchmark B5 "host memory of idle sandboxes"
benchmark B6 "what a guest keeps for itself"
benchmark B7 "exits of a VM, on this machine"
benchmark B8 "a disk"
benchmark B9 "a network card"
benchmark B10 "a shared folder"

echo
"${java[@]}" io.rund.bench.Table "$results"
say "all took $SECONDS s; raw data and plots: $results. In the lab, an emulated machine, exits weigh heavier than on"
say "hardware: only the ratio counts, and the same command on a machine with KVM tells more."
