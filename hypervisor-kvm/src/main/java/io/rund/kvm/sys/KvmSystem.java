package io.rund.kvm.sys;

import com.sun.jna.LastErrorException;
import io.rund.core.error.RundException;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** /dev/kvm, opened once. Safe for use by several threads. */
public final class KvmSystem implements AutoCloseable {
  private static final String DEVICE = "/dev/kvm";

  /** The API has been frozen at this version since Linux 2.6.22 (api.rst, 4.1). */
  private static final int API_VERSION = 12;

  /** More entries than any kernel has returned; KVM_MAX_CPUID_ENTRIES is 256. */
  private static final int MAX_CPUID_ENTRIES = 256;

  /** More than any kernel lists. */
  static final int MAX_MSRS = 4096;

  private static final Map<String, Integer> REQUIRED = new LinkedHashMap<>();

  static {
    REQUIRED.put("KVM_CAP_IRQCHIP", KvmAbi.Cap.IRQCHIP);
    REQUIRED.put("KVM_CAP_USER_MEMORY", KvmAbi.Cap.USER_MEMORY);
    REQUIRED.put("KVM_CAP_SET_TSS_ADDR", KvmAbi.Cap.SET_TSS_ADDR);
    REQUIRED.put("KVM_CAP_EXT_CPUID", KvmAbi.Cap.EXT_CPUID);
    REQUIRED.put("KVM_CAP_IRQFD", KvmAbi.Cap.IRQFD);
    REQUIRED.put("KVM_CAP_IOEVENTFD", KvmAbi.Cap.IOEVENTFD);
    REQUIRED.put("KVM_CAP_SET_IDENTITY_MAP_ADDR", KvmAbi.Cap.SET_IDENTITY_MAP_ADDR);
    REQUIRED.put("KVM_CAP_IMMEDIATE_EXIT", KvmAbi.Cap.IMMEDIATE_EXIT);
  }

  private final Fd fd;
  private final int runSize;

  private KvmSystem(Fd fd, int runSize) {
    this.fd = fd;
    this.runSize = runSize;
  }

  /**
   * Opens /dev/kvm and checks that it can do what rund needs.
   *
   * @throws RundException UNAVAILABLE, saying what is missing and how to mend it
   */
  public static KvmSystem open() {
    Fd fd;
    try {
      fd = Fd.open(DEVICE, Linux.O_RDWR);
    } catch (LastErrorException e) {
      throw KvmErrors.of("open " + DEVICE, e);
    }
    try {
      int version = Libc.ioctl(fd.number(), KvmAbi.Ioctl.GET_API_VERSION, 0);
      if (version != API_VERSION) {
        throw RundException.unavailable(
            DEVICE + " speaks KVM API " + version + ", rund needs " + API_VERSION, null);
      }
      List<String> missing = new ArrayList<>();
      for (Map.Entry<String, Integer> cap : REQUIRED.entrySet()) {
        if (extension(fd, cap.getValue()) == 0) {
          missing.add(cap.getKey());
        }
      }
      if (!missing.isEmpty()) {
        throw RundException.unavailable(
            DEVICE + " lacks " + missing + "; use Linux 4.13 or newer with hardware KVM", null);
      }
      return new KvmSystem(fd, Libc.ioctl(fd.number(), KvmAbi.Ioctl.GET_VCPU_MMAP_SIZE, 0));
    } catch (LastErrorException e) {
      fd.close();
      throw KvmErrors.of("query " + DEVICE, e);
    } catch (RundException e) {
      fd.close();
      throw e;
    }
  }

  private static int extension(Fd fd, int capability) {
    return Libc.ioctl(fd.number(), KvmAbi.Ioctl.CHECK_EXTENSION, capability);
  }

  /** The value of a {@link KvmAbi.Cap}: 0 if absent, else 1 or a number that it defines. */
  public int extension(int capability) {
    return extension(fd, capability);
  }

  /** Makes an empty VM. */
  public KvmVm createVm() {
    try {
      return new KvmVm(new Fd(Libc.ioctl(fd.number(), KvmAbi.Ioctl.CREATE_VM, 0)), runSize);
    } catch (LastErrorException e) {
      throw KvmErrors.of("create a VM (KVM_CREATE_VM)", e);
    }
  }

  /** What this host's KVM and CPU can offer a guest. */
  public List<CpuidEntry> supportedCpuid() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment table =
          arena.allocate(
              KvmAbi.Cpuid.ENTRIES + (long) MAX_CPUID_ENTRIES * KvmAbi.Cpuid.ENTRY_SIZE, 8);
      table.set(ValueLayout.JAVA_INT, KvmAbi.Cpuid.COUNT, MAX_CPUID_ENTRIES);
      Libc.ioctl(fd.number(), KvmAbi.Ioctl.GET_SUPPORTED_CPUID, table.address());
      return CpuidEntry.read(table);
    } catch (LastErrorException e) {
      throw KvmErrors.of("learn the CPU's features (KVM_GET_SUPPORTED_CPUID)", e);
    }
  }

  /** The MSRs whose values are a vCPU's state. */
  public int[] msrIndices() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment list = arena.allocate((1L + MAX_MSRS) * Integer.BYTES, Integer.BYTES);
      list.set(ValueLayout.JAVA_INT, 0, MAX_MSRS);
      Libc.ioctl(fd.number(), KvmAbi.Ioctl.GET_MSR_INDEX_LIST, list.address());
      int count = list.get(ValueLayout.JAVA_INT, 0);
      int[] indices = list.asSlice(Integer.BYTES, 4L * count).toArray(ValueLayout.JAVA_INT);
      return Msrs.toSave(IntStream.of(indices));
    } catch (LastErrorException e) {
      throw KvmErrors.of("list model-specific registers (KVM_GET_MSR_INDEX_LIST)", e);
    }
  }

  @Override
  public void close() {
    fd.close();
  }
}
