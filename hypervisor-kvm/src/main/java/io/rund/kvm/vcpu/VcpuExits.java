package io.rund.kvm.vcpu;

import io.rund.core.hypervisor.VmExit;
import io.rund.kvm.bus.ConsoleTail;
import io.rund.kvm.bus.MmioBus;
import io.rund.kvm.bus.PioBus;
import io.rund.kvm.sys.KvmAbi;
import io.rund.kvm.sys.KvmVcpu;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Answers a vCPU's exits (api.rst, 5). This is the path of every register access of every guest: it
 * allocates nothing. One for each VM; called on all its vCPU threads.
 */
public final class VcpuExits {
  private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

  private final PioBus pio;
  private final MmioBus mmio;
  private final ConsoleTail tail;

  /**
   * @param tail the guest's last words, should it end
   */
  public VcpuExits(PioBus pio, MmioBus mmio, ConsoleTail tail) {
    this.pio = pio;
    this.mmio = mmio;
    this.tail = tail;
  }

  /** Does what the guest asks for; null to go on, else how the VM ended. */
  public VmExit handle(KvmVcpu vcpu) {
    MemorySegment run = vcpu.runArea();
    int reason = run.get(INT, KvmAbi.Run.EXIT_REASON);
    return switch (reason) {
      case KvmAbi.Exit.MMIO -> mmio(run);
      case KvmAbi.Exit.IO -> pio(run);
      case KvmAbi.Exit.INTR -> null;
      // A triple fault, which is how Linux resets the machine with `reboot=t`.
      case KvmAbi.Exit.SHUTDOWN -> new VmExit.GuestShutdown(tail.text());
      case KvmAbi.Exit.SYSTEM_EVENT -> new VmExit.GuestShutdown(tail.text());
      case KvmAbi.Exit.FAIL_ENTRY ->
          failed(
              "the CPU refused to enter the guest, hardware reason 0x%x",
              run.get(LONG, KvmAbi.Run.FAIL_ENTRY_REASON));
      case KvmAbi.Exit.INTERNAL_ERROR ->
          failed("KVM internal error %d", run.get(INT, KvmAbi.Run.INTERNAL_SUBERROR));
      default -> failed("KVM exit %d, which must not happen", reason);
    };
  }

  private static VmExit failed(String format, Object value) {
    return new VmExit.Failed(format.formatted(value));
  }

  private VmExit mmio(MemorySegment run) {
    long address = run.get(LONG, KvmAbi.Run.MMIO_ADDRESS);
    int length = run.get(INT, KvmAbi.Run.MMIO_LENGTH);
    if (run.get(BYTE, KvmAbi.Run.MMIO_IS_WRITE) != 0) {
      mmio.write(address, length, run.get(LONG, KvmAbi.Run.MMIO_DATA));
    } else {
      run.set(LONG, KvmAbi.Run.MMIO_DATA, mmio.read(address, length));
    }
    return null;
  }

  private VmExit pio(MemorySegment run) {
    int port = Short.toUnsignedInt(run.get(SHORT, KvmAbi.Run.IO_PORT));
    int size = run.get(BYTE, KvmAbi.Run.IO_SIZE);
    int count = run.get(INT, KvmAbi.Run.IO_COUNT);
    long data = run.get(LONG, KvmAbi.Run.IO_DATA_OFFSET);
    boolean out = run.get(BYTE, KvmAbi.Run.IO_DIRECTION) == KvmAbi.Run.IO_OUT;
    for (int i = 0; i < count; i++, data += size) {
      if (!out) {
        put(run, data, size, pio.read(port, size));
      } else if (pio.write(port, size, get(run, data, size))) {
        return new VmExit.GuestShutdown(tail.text());
      }
    }
    return null;
  }

  private static int get(MemorySegment run, long at, int size) {
    return switch (size) {
      case 1 -> run.get(BYTE, at);
      case 2 -> run.get(SHORT, at);
      default -> run.get(INT, at);
    };
  }

  private static void put(MemorySegment run, long at, int size, int value) {
    switch (size) {
      case 1 -> run.set(BYTE, at, (byte) value);
      case 2 -> run.set(SHORT, at, (short) value);
      default -> run.set(INT, at, value);
    }
  }
}
