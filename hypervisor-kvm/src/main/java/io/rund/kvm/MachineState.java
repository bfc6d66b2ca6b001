package io.rund.kvm;

import io.rund.kvm.memory.RamTemplate;
import io.rund.kvm.sys.KvmVcpu;
import io.rund.kvm.sys.KvmVm;
import io.rund.kvm.sys.VcpuState;
import io.rund.kvm.sys.VmState;
import io.rund.kvm.virtio.TransportState;
import io.rund.kvm.virtio.vsock.ConnectionState;
import java.util.List;
import java.util.Optional;

/**
 * A whole machine at one moment: what it takes to go on with another one.
 *
 * @param slots for each slot its device, empty if no driver used one
 * @param agent the guest's one connection to this process
 */
record MachineState(
    List<VcpuState> vcpus,
    VmState vm,
    List<Optional<TransportState>> slots,
    ConnectionState agent,
    RamTemplate ram) {

  /** Gives fresh vCPUs, which have their CPUID, and their VM the state of those that were saved. */
  void restore(KvmVm fresh, List<KvmVcpu> cpus) {
    long tscShift = vcpus.getFirst().tscShift(cpus.getFirst());
    for (int i = 0; i < cpus.size(); i++) {
      vcpus.get(i).restore(cpus.get(i), tscShift);
    }
    vm.restore(fresh);
  }
}
