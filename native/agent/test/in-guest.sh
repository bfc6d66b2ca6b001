#!/bin/sh
# Runs the agent's tests as PID 1 of a virtual machine with the guest kernel: QEMU's microvm, in software if there
# is no usable KVM. usage: in-guest.sh OUT KERNEL CRUN
set -eu

out=$1
kernel=$2
crun=$3
here=$(cd "$(dirname "$0")" && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

mkdir -p "$work/root/bin" "$work/root/dev" "$work/root/newroot" "$work/root/proc" "$work/root/sys" \
    "$work/root/run" "$work/root/tmp" "$work/disk/proc" "$work/disk/dev"
cp "$out/agent-test" "$work/root/init"
cp "$out/test-agent" "$work/root/agent"
cp "$out/test-program" "$work/root/program"
cp "$crun" "$work/root/bin/crun"
cp -r "$here/samples" "$work/root/samples"
(cd "$work/root" && find . -mindepth 1 | cpio --quiet --create --format=newc) >"$work/initramfs.cpio"
cp "$out/test-program" "$work/disk/program"
mkfs.ext4 -q -d "$work/disk" "$work/ext4" 16M
head -c 4194304 /dev/urandom >"$work/noise"

timeout 300 qemu-system-x86_64 -M microvm,acpi=off,isa-serial=on,rtc=on -accel tcg -cpu max -m 128 \
    -nodefaults -no-user-config -display none -serial stdio -no-reboot \
    -global virtio-mmio.force-legacy=false \
    -drive "if=none,id=ext4,format=raw,file=$work/ext4" -device virtio-blk-device,drive=ext4 \
    -drive "if=none,id=noise,format=raw,file=$work/noise" -device virtio-blk-device,drive=noise \
    -kernel "$kernel" -initrd "$work/initramfs.cpio" \
    -append "console=ttyS0 8250.nr_uarts=1 reboot=t panic=-1 quiet" </dev/null | tee "$work/log"
grep -q ' passed, 0 failed' "$work/log"
