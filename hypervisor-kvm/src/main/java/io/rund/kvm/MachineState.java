package io.rund.kvm;

import io.rund.kvm.memory.RamTemplate;
import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;
import io.rund.kvm.sys.KvmVcpu;
import io.rund.kvm.sys.KvmVm;
import io.rund.kvm.sys.VcpuState;
import io.rund.kvm.sys.VmState;
import io.rund.kvm.virtio.TransportState;
import io.rund.kvm.virtio.fs.FsDeviceState;
import io.rund.kvm.virtio.vsock.ConnectionState;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * A whole machine at one moment: what it takes to go on with another one.
 *
 * @param slots for each slot its device, empty if no driver used one
 * @param agent the guest's one connection to this process, which goes on; empty for a guest that is
 *     told that its connections are no more
 * @param shares what the guest knows of the host's files
 */
record MachineState(
    List<VcpuState> vcpus,
    VmState vm,
    List<Optional<TransportState>> slots,
    Optional<ConnectionState> agent,
    FsDeviceState shares,
    RamTemplate ram) {

  /** Writes all but the RAM, for {@link #read}. */
  void write(SnapshotWriter out) {
    vcpus.forEach(vcpu -> vcpu.write(out));
    vm.write(out);
    slots.forEach(slot -> out.optional(slot, TransportState::write));
    out.optional(agent, ConnectionState::write);
    FsDeviceState.write(shares, out);
  }

  /** The parts of a state, of which the RAM comes last. */
  interface Unfinished {
    MachineState with(RamTemplate ram);
  }

  /** The state of a machine with so many vCPUs and slots. */
  static Unfinished read(SnapshotReader in, int vcpus, int slots) {
    List<VcpuState> cpus = IntStream.range(0, vcpus).mapToObj(_ -> VcpuState.read(in)).toList();
    VmState vm = VmState.read(in);
    List<Optional<TransportState>> devices =
        IntStream.range(0, slots)
            .mapToObj(_ -> in.optional("a device", TransportState::read))
            .toList();
    Optional<ConnectionState> agent = in.optional("a connection", ConnectionState::read);
    FsDeviceState shares = FsDeviceState.read(in);
    return ram -> new MachineState(cpus, vm, devices, agent, shares, ram);
  }

  /** Gives fresh vCPUs, which have their CPUID, and their VM the state of those that were saved. */
  void restore(KvmVm fresh, List<KvmVcpu> cpus) {
    long tscShift = vcpus.getFirst().tscShift(cpus.getFirst());
    for (int i = 0; i < cpus.size(); i++) {
      vcpus.get(i).restore(cpus.get(i), tscShift);
    }
    vm.restore(fresh);
  }
}
