# shellcheck shell=bash
# The QEMU that emulates the lab. Sourced by `lab`.
#
# Up to 10.1 a CPU that runs a nested guest sets its pending interrupts without a lock (target/i386 svm_helper.c, helper_vmrun): it loses
# those that another thread sets at that moment, and a guest, or the lab, stands still. So where the machine's own is older it is the one of
# Debian 13's backports, unpacked (never installed) with its libraries into $lab/qemu-trixie.

# Sets $qemu, the command.
qemu_up() {
  local major root=$lab/qemu-trixie
  command -v qemu-system-x86_64 >/dev/null || die "qemu-system-x86_64 is missing: run 'make setup'"
  qemu=(qemu-system-x86_64)
  major=$(qemu-system-x86_64 --version | sed -n '1s/.*version \([0-9]*\).*/\1/p')
  [ "$major" -lt 11 ] || return 0
  [ -x "$root/usr/bin/qemu-system-x86_64" ] || debian_unpack_whole "$root" trixie-backports qemu-system-x86 qemu-system-common qemu-system-data seabios
  # Its own loader: the C library of this machine is older than what it was built with.
  qemu=("$root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/qemu-system-x86_64"
    -L "$root/usr/share/qemu" -L "$root/usr/share/seabios")
}
