package io.rund.kvm;

import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.hypervisor.VmTemplate;

/** A machine's state, and the hypervisor that makes others of it. */
record KvmTemplate(KvmHypervisor hypervisor, VmConfig config, MachineState state)
    implements VmTemplate {
  @Override
  public VirtualMachine clone(String id) {
    return hypervisor.clone(config.withId(id), state);
  }

  @Override
  public void close() {
    state.ram().close();
  }
}
