package io.rund.kvm.sys;

import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.kvm.bus.IrqLine;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** An {@link IrqLine} that is an eventfd which the kernel turns into the interrupt (KVM_IRQFD). */
public final class IrqFd implements IrqLine, AutoCloseable {
  /** What every raise writes: the eventfd's counter goes up by one. */
  private static final MemorySegment ONE = Arena.global().allocateFrom(ValueLayout.JAVA_LONG, 1L);

  private final KvmVm vm;
  private final int gsi;
  private final Fd eventFd = Fd.eventFd();

  public IrqFd(KvmVm vm, int gsi) {
    this.vm = vm;
    this.gsi = gsi;
    try {
      vm.assignIrq(eventFd, gsi);
    } catch (RuntimeException e) {
      eventFd.close();
      throw e;
    }
  }

  @Override
  public void raise() {
    Libc.Try.write(eventFd.number(), ONE.address(), Long.BYTES);
  }

  @Override
  public int gsi() {
    return gsi;
  }

  /** Disconnects the pin. Nobody may raise it any more. Idempotent. */
  @Override
  public void close() {
    if (eventFd.isOpen()) {
      vm.removeIrq(eventFd, gsi);
      eventFd.close();
    }
  }
}
