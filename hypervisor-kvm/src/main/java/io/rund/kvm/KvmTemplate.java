package io.rund.kvm;

import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.hypervisor.VmTemplate;
import java.io.IOException;
import java.nio.channels.FileChannel;

/** A machine's state, and the hypervisor that makes others of it. */
record KvmTemplate(KvmHypervisor hypervisor, VmConfig config, MachineState state)
    implements VmTemplate {
  @Override
  public VirtualMachine clone(String id) {
    return hypervisor.clone(config.withId(id), state);
  }

  @Override
  public void save(FileChannel file) throws IOException {
    SnapshotFile.save(state, hypervisor.identity(config), file);
  }

  @Override
  public void close() {
    state.ram().close();
  }
}
