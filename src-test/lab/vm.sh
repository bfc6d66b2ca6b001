# shellcheck shell=bash
# The lab as an emulated machine. Sourced by `lab`.

# Bounded: a connection made before the lab has a network, or after it stands still, is neither answered nor refused.
# KILL: `exec` hands the first SIGTERM on to the lab.
vm_alive() {
  [ -s "$run/address" ] && (cd / && timeout -s KILL "${1:-20}" "$run/exec" "$run/address" /bin/true </dev/null) 2>/dev/null
}

# Ends the processes of a lab, live or stale: each wrote its pid, and carries this lab's folder in its arguments.
vm_down() {
  local file pid
  for file in "$run"/*.pid; do
    [ -s "$file" ] || continue
    pid=$(<"$file")
    if grep -qzF "$run/" "/proc/$pid/cmdline" 2>/dev/null; then
      kill "$pid"
      for _ in {1..50}; do [ -d "/proc/$pid" ] || break; sleep 0.1; done
      [ ! -d "/proc/$pid" ] || kill -KILL "$pid"
    fi
  done
}

# virtiofsd_up NAME SOURCE CACHE
virtiofsd_up() {
  local name=$1 program
  for program in /usr/libexec/virtiofsd /usr/lib/qemu/virtiofsd; do [ ! -x "$program" ] || break; done
  [ -x "$program" ] || die "virtiofsd is missing: run 'make setup'"
  setsid "$program" --socket-path="$run/$name.sock" -o "source=$2,cache=$3,sandbox=chroot" \
    </dev/null >"$run/$name.log" 2>&1 9>&- &
  echo $! >"$run/$name.pid"
  for _ in {1..100}; do [ ! -S "$run/$name.sock" ] || return 0; sleep 0.05; done
  tail -n 5 "$run/$name.log" >&2
  die "virtiofsd does not start"
}

vm_up() {
  qemu_up
  root_up
  cp "$bin/exec" "$run/"

  say "booting the lab (an emulated machine; memory ${RUND_LAB_MEMORY:-6G})"
  local token port
  token=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
  for _ in {1..20}; do
    port=$((20000 + RANDOM % 40000))
    (umask 077 && echo "$port $token" >"$run/address")
    if vm_start "$port"; then break; fi
    vm_down
    grep -q 'Could not set up host forwarding' "$run/qemu.log" || { cat "$run/qemu.log" >&2; die "QEMU does not start"; }
  done
  for _ in {1..600}; do
    if vm_alive 3; then return; fi
    [ -d "/proc/$(<"$run/qemu.pid")" ] || break
    sleep 0.1
  done
  tail -n 20 "$run/console.log" >&2
  die "the lab did not boot; its console is in $run/console.log"
}

# -xsave: QEMU does not intercept a guest's XSETBV, so KVM resets XCR0 behind the guest's back and its SSE registers are
# lost at context switches. Without it the kernels use FXSAVE. The rest costs emulation time and proves nothing.
cpu=max,+svm,+npt,-xsave,-avx,-avx2,-pku,-la57

# tsc=reliable: QEMU's CPUs claim no invariant TSC, so Linux holds the TSCs of several for not synchronous. It then reads the time
# from the HPET, which is slow, and KVM keeps its guests' TSCs in the mode for such hosts: guests hung in their boot.
# QEMU's TSCs are one counter.
# -smp 3, isolcpus=0: the first CPU is the kernel's, everything else runs on the other two. Whenever QEMU's emulated CPUs load FPU registers,
# all of them change the *first* CPU's hflags2 without a lock (cpu_clear_ignne in target/i386/tcg/system/fpu_helper.c, 10.0 and 10.2). If that
# one enters or leaves a guest at the moment, old flags come back: the lab takes interrupts while they are off, or a guest runs on the lab's
# memory. taskset would not do: a thread that goes into another cgroup may run on all CPUs again (cpuset, before Linux 6.2).
# tb-size: when the memory for translated code is full QEMU stops all CPUs for a moment, and that may give a guest an interrupt twice (docs/lab.md).
vm_start() {
  local memory=${RUND_LAB_MEMORY:-6G} name device=()
  rm -f "$run"/*.sock
  virtiofsd_up host / always
  virtiofsd_up root "$lab/root" always
  virtiofsd_up live / auto
  for name in host root live; do
    device+=(-chardev "socket,id=$name,path=$run/$name.sock" -device "vhost-user-fs-pci,chardev=$name,tag=$name,queue-size=1024")
  done
  "${qemu[@]}" -daemonize -pidfile "$run/qemu.pid" -nodefaults -no-user-config -no-reboot -display none \
    -serial "file:$run/console.log" \
    -M q35,memory-backend=ram -accel tcg,thread=multi,tb-size=2047 -cpu "$cpu" -smp 3 -m "$memory" \
    -object "memory-backend-memfd,id=ram,size=$memory,share=on" \
    -netdev "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:$1-:$1" -device virtio-net-pci,netdev=net,romfile= \
    -device virtio-rng-pci "${device[@]}" \
    -kernel "$lab/vmlinuz" -initrd "$lab/initramfs.cpio" \
    -append "console=ttyS0 panic=-1 mitigations=off tsc=reliable isolcpus=0 quiet rund.lab=$lab rund.cgroup=${RUND_CGROUP:-2}" \
    >"$run/qemu.log" 2>&1 9>&-
}

# Shows folders of the machine in the lab as they are, written through. Each is bound once.
vm_bind() {
  local folder mark
  for folder in "$@"; do
    mark=$run/bound${folder//\//+}
    [ ! -e "$mark" ] && [ -d "$folder" ] || continue
    # shellcheck disable=SC2016
    (cd / && "$run/exec" "$run/address" /bin/sh -c 'mountpoint -q "$1" || { mkdir -p "$1" && mount --bind "/run/live$1" "$1"; }' sh "$folder" </dev/null) ||
      die "cannot bind $folder in the lab"
    touch "$mark"
  done
}
