package io.rund.kvm.sys;

import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.kvm.bus.IrqLine;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * An {@link IrqLine} that is an eventfd which the kernel turns into the interrupt (KVM_IRQFD). A
 * pin costs nothing before {@link #connect}.
 */
public final class IrqFd implements IrqLine, AutoCloseable {
  /** What every raise writes: the eventfd's counter goes up by one. */
  private static final MemorySegment ONE = Arena.global().allocateFrom(ValueLayout.JAVA_LONG, 1L);

  private final KvmVm vm;
  private final int gsi;
  private volatile Fd eventFd;

  public IrqFd(KvmVm vm, int gsi) {
    this.vm = vm;
    this.gsi = gsi;
  }

  /** Makes the pin usable; must come before the first {@link #raise}. Idempotent. */
  public synchronized void connect() {
    if (eventFd == null) {
      Fd fd = Fd.eventFd();
      try {
        vm.assignIrq(fd, gsi);
      } catch (RuntimeException e) {
        fd.close();
        throw e;
      }
      eventFd = fd;
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

  /** Nobody may raise it any more. KVM lets go of the pin when the eventfd is gone. Idempotent. */
  @Override
  public synchronized void close() {
    if (eventFd != null) {
      eventFd.close();
    }
  }
}
