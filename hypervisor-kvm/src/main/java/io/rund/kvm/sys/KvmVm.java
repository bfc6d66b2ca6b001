package io.rund.kvm.sys;

import com.sun.jna.LastErrorException;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.kvm.bus.KickRegistry;
import io.rund.kvm.memory.GuestMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A VM's descriptor. Safe for use by several threads. The kernel frees the VM when this and its
 * vCPUs are closed.
 */
public final class KvmVm implements KickRegistry, AutoCloseable {
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

  /** Queue notifications are 32-bit writes (virtio 1.2, 4.2.2). */
  private static final int KICK_LENGTH = 4;

  private final Fd fd;
  private final int runSize;

  KvmVm(Fd fd, int runSize) {
    this.fd = fd;
    this.runSize = runSize;
  }

  /**
   * Reserves the pages that Intel's hardware wants for running real mode: three at {@code tss}, one
   * at {@code identityMap}; neither may lie in RAM (api.rst, 4.13 and 4.41). Before any vCPU.
   */
  public void reserveRealModePages(long tss, long identityMap) {
    try (Arena arena = Arena.ofConfined()) {
      Libc.ioctl(fd.number(), KvmAbi.Ioctl.SET_TSS_ADDR, tss);
      MemorySegment address = arena.allocateFrom(LONG, identityMap);
      Libc.ioctl(fd.number(), KvmAbi.Ioctl.SET_IDENTITY_MAP_ADDR, address.address());
    } catch (LastErrorException e) {
      throw KvmErrors.of("reserve pages for real mode (KVM_SET_TSS_ADDR)", e);
    }
  }

  /** Makes the in-kernel PIC, IOAPIC and, for vCPUs made later, local APICs (api.rst, 4.24). */
  public void createIrqchip() {
    try {
      Libc.ioctl(fd.number(), KvmAbi.Ioctl.CREATE_IRQCHIP, 0);
    } catch (LastErrorException e) {
      throw KvmErrors.of("create interrupt controllers (KVM_CREATE_IRQCHIP)", e);
    }
  }

  /** Gives the guest its RAM, which must outlive the VM. */
  public void addMemory(GuestMemory memory) {
    int slot = 0;
    for (GuestMemory.Region region : memory.regions()) {
      addMemory(slot++, region);
    }
  }

  private void addMemory(int slot, GuestMemory.Region region) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment argument = arena.allocate(KvmAbi.MemoryRegion.SIZE, 8);
      argument.set(INT, KvmAbi.MemoryRegion.SLOT, slot);
      argument.set(LONG, KvmAbi.MemoryRegion.GUEST_ADDRESS, region.address());
      argument.set(LONG, KvmAbi.MemoryRegion.BYTES, region.length());
      argument.set(LONG, KvmAbi.MemoryRegion.HOST_ADDRESS, region.hostAddress());
      Libc.ioctl(fd.number(), KvmAbi.Ioctl.SET_USER_MEMORY_REGION, argument.address());
    } catch (LastErrorException e) {
      throw KvmErrors.of("give the VM its memory (KVM_SET_USER_MEMORY_REGION)", e);
    }
  }

  /**
   * Makes a vCPU.
   *
   * @param index its number, which is also its APIC id
   */
  public KvmVcpu createVcpu(int index) {
    try {
      Fd vcpu = new Fd(Libc.ioctl(fd.number(), KvmAbi.Ioctl.CREATE_VCPU, index));
      return KvmVcpu.map(vcpu, index, runSize);
    } catch (LastErrorException e) {
      throw KvmErrors.of("create vCPU " + index + " (KVM_CREATE_VCPU)", e);
    }
  }

  /**
   * Sends an edge on {@code gsi} whenever {@code eventFd} is signalled (api.rst, 4.75), until the
   * eventfd is closed.
   */
  void assignIrq(Fd eventFd, int gsi) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment argument = arena.allocate(KvmAbi.Irqfd.SIZE, 8);
      argument.set(INT, KvmAbi.Irqfd.FD, eventFd.number());
      argument.set(INT, KvmAbi.Irqfd.GSI, gsi);
      Libc.ioctl(fd.number(), KvmAbi.Ioctl.IRQFD, argument.address());
    } catch (LastErrorException e) {
      throw KvmErrors.of("connect interrupt " + gsi + " (KVM_IRQFD)", e);
    }
  }

  @Override
  public void assignKick(Fd eventFd, long address, int value) {
    ioeventfd(eventFd, address, value, KvmAbi.Ioeventfd.FLAG_DATAMATCH);
  }

  @Override
  public void removeKick(Fd eventFd, long address, int value) {
    int flags = KvmAbi.Ioeventfd.FLAG_DATAMATCH | KvmAbi.Ioeventfd.FLAG_DEASSIGN;
    ioeventfd(eventFd, address, value, flags);
  }

  private void ioeventfd(Fd eventFd, long address, int value, int flags) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment argument = arena.allocate(KvmAbi.Ioeventfd.SIZE, 8);
      argument.set(LONG, KvmAbi.Ioeventfd.DATAMATCH, Integer.toUnsignedLong(value));
      argument.set(LONG, KvmAbi.Ioeventfd.ADDRESS, address);
      argument.set(INT, KvmAbi.Ioeventfd.LENGTH, KICK_LENGTH);
      argument.set(INT, KvmAbi.Ioeventfd.FD, eventFd.number());
      argument.set(INT, KvmAbi.Ioeventfd.FLAGS, flags);
      Libc.ioctl(fd.number(), KvmAbi.Ioctl.IOEVENTFD, argument.address());
    } catch (LastErrorException e) {
      throw KvmErrors.of("watch queue notifications at 0x%x (KVM_IOEVENTFD)".formatted(address), e);
    }
  }

  /** Lets the guest's kvm-clock go on from so many nanoseconds (api.rst, 4.30). */
  public void setClock(long nanos) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment clock = arena.allocate(KvmAbi.Clock.SIZE, Long.BYTES);
      clock.set(LONG, KvmAbi.Clock.NANOS, nanos);
      control("clock", KvmAbi.Ioctl.SET_CLOCK, clock);
    }
  }

  void control(String what, long request, MemorySegment argument) {
    try {
      Libc.ioctl(fd.number(), request, argument.address());
    } catch (LastErrorException e) {
      throw KvmErrors.of("access %s of a VM (0x%x)".formatted(what, request), e);
    }
  }

  @Override
  public void close() {
    fd.close();
  }
}
