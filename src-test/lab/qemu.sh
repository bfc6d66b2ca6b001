# shellcheck shell=bash
# The QEMU that emulates the lab. Sourced by `lab`.
#
# Debian 12's, 7.2, does not do: with two guests at work the lab's kernel stood still ("soft lockup" on both CPUs, in
# KVM_RUN), and JVMs ended with SIGILL in code that they had just compiled. So there it is the one of Debian's
# backports, unpacked (never installed) into $lab/qemu.

# Sets $qemu, the command.
qemu_up() {
  local codename major
  command -v qemu-system-x86_64 >/dev/null || die "qemu-system-x86_64 is missing: run 'make setup'"
  qemu=(qemu-system-x86_64)
  major=$(qemu-system-x86_64 --version | sed -n '1s/.*version \([0-9]*\).*/\1/p')
  [ "$major" -lt 8 ] || return 0
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  [ -x "$lab/qemu/usr/bin/qemu-system-x86_64" ] || debian_unpack "$lab/qemu" "$codename-backports" qemu-system-x86 qemu-system-data seabios
  qemu=("$lab/qemu/usr/bin/qemu-system-x86_64" -L "$lab/qemu/usr/share/qemu" -L "$lab/qemu/usr/share/seabios")
}
