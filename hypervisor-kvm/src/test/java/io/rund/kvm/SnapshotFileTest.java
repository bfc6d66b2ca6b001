package io.rund.kvm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VmConfig;
import io.rund.kvm.fs.FsState;
import io.rund.kvm.fs.NodeBudget;
import io.rund.kvm.fs.SharedFileSystem;
import io.rund.kvm.snapshot.SnapshotIdentity;
import io.rund.kvm.snapshot.SnapshotIdentity.Fact;
import io.rund.kvm.sys.VcpuState;
import io.rund.kvm.sys.VmState;
import io.rund.kvm.virtio.GuestDriver;
import io.rund.kvm.virtio.RngDevice;
import io.rund.kvm.virtio.TransportState;
import io.rund.kvm.virtio.fs.FsDeviceState;
import io.rund.kvm.virtio.vsock.ConnectionState;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A guest's state goes through a file, and no other bytes than those do. */
@Timeout(300)
class SnapshotFileTest {
  private static final int PAGE = 4096;
  private static final int CHECKSUM_AT = 16;
  private static final int COUNTER = 0x3000;
  private static final int MARKS = 0x10000;
  private static final int MARKS_END = 0x7f000;

  /** loop: inc eax; mov es:[0x3000], eax; jmp loop */
  private static final int[] COUNT = {0x66, 0x40, 0x26, 0x66, 0xa3, 0x00, 0x30, 0xeb, 0xf7};

  private static final SnapshotIdentity HERE =
      new SnapshotIdentity(List.of(new Fact("guest kernel", "6.12"), new Fact("CPU", "this one")));

  private static final FsDeviceState SHARES = new FsDeviceState(true, true, noFiles());

  @TempDir private Path folder;
  private VmConfig config;
  private int count;
  private Optional<TransportState> device;
  private byte[] snapshot;

  private static FsState noFiles() {
    try (SharedFileSystem fs = new SharedFileSystem("a", new NodeBudget(16, 16))) {
      return fs.state();
    }
  }

  /** A guest that counts, with something in every third page; and a device in one of two slots. */
  @BeforeEach
  void save() throws Exception {
    Path path = folder.resolve("snapshot");
    try (TestMachine machine = new TestMachine(COUNT);
        GuestDriver driver = new GuestDriver();
        FileChannel file = open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      long bytes = machine.memory.size();
      config = new VmConfig("a", 1, bytes, path, path, "", 16, Optional.empty());
      for (int page = MARKS; page < MARKS_END; page += 3 * PAGE) {
        machine.memory.putLong(page, page);
      }
      driver.transport.plug(new RngDevice(driver.memory));
      driver.start();
      device = driver.state();
      machine.group.start();
      awaitAbove(machine, 100);
      machine.group.pause();
      machine.vcpus.getFirst().settle();
      count = machine.memory.getInt(COUNTER);
      try (var ram = machine.memory.toTemplate("test-template")) {
        MachineState state =
            new MachineState(
                List.of(VcpuState.of(machine.vcpus.getFirst(), machine.system)),
                VmState.of(machine.vm),
                List.of(device, Optional.empty()),
                Optional.of(new ConnectionState(5000, 1024, 1 << 18)),
                SHARES,
                ram);
        SnapshotFile.save(state, HERE, file);
      }
    }
    snapshot = Files.readAllBytes(path);
  }

  private static FileChannel open(Path path, StandardOpenOption... options) throws IOException {
    return FileChannel.open(path, options);
  }

  private static void awaitAbove(TestMachine machine, int count) throws InterruptedException {
    for (long end = System.nanoTime() + 20_000_000_000L;
        machine.memory.getInt(COUNTER) <= count; ) {
      assertTrue(System.nanoTime() < end, "the guest does not run");
      Thread.sleep(1);
    }
  }

  private MachineState load(byte[] bytes, SnapshotIdentity here) throws IOException {
    Path path = Files.write(folder.resolve("other"), bytes);
    try (FileChannel file = open(path, StandardOpenOption.READ)) {
      return SnapshotFile.load(file, here, config, 2);
    }
  }

  private String refusal(byte[] bytes) throws IOException {
    Path path = Files.write(folder.resolve("other"), bytes);
    try (FileChannel file = open(path, StandardOpenOption.READ)) {
      return refusal(file);
    }
  }

  private String refusal(FileChannel file) {
    RundException e =
        assertThrows(
            RundException.class, () -> SnapshotFile.load(file, HERE, config, 2).ram().close());
    assertEquals(ErrorCode.FAILED_PRECONDITION, e.code());
    return e.getMessage();
  }

  /** The snapshot, to be changed in place. */
  private FileChannel original() throws IOException {
    return open(folder.resolve("snapshot"), StandardOpenOption.READ, StandardOpenOption.WRITE);
  }

  private static void put(FileChannel file, int at, byte... bytes) throws IOException {
    assertEquals(bytes.length, file.write(ByteBuffer.wrap(bytes), at));
  }

  private int headerLength() {
    return ByteBuffer.wrap(snapshot).order(ByteOrder.LITTLE_ENDIAN).getInt(12);
  }

  @Test
  void aGuestGoesOnFromAFile() throws Exception {
    MachineState state = load(snapshot, HERE);
    Files.write(folder.resolve("other"), new byte[PAGE]); // no matter any more
    assertEquals(List.of(device, Optional.empty()), state.slots());
    assertEquals(Optional.of(new ConnectionState(5000, 1024, 1 << 18)), state.agent());
    assertEquals(SHARES, state.shares());
    try (var ram = state.ram();
        TestMachine one = new TestMachine(ram, state.vcpus(), state.vm());
        TestMachine other = new TestMachine(ram, state.vcpus(), state.vm())) {
      for (int page = 0x4000; page < MARKS_END; page += PAGE) {
        int expected = page >= MARKS && (page - MARKS) % (3 * PAGE) == 0 ? page : 0;
        assertEquals(expected, one.memory.getLong(page));
      }
      assertEquals(count, one.memory.getInt(COUNTER));
      one.memory.putInt(COUNTER, 0);
      one.group.start();
      awaitAbove(one, count + 100);
      assertEquals(count, other.memory.getInt(COUNTER));
    }
  }

  @Test
  void pagesOfZerosAreLeftOut() {
    int marks = (MARKS_END - MARKS + 3 * PAGE - 1) / (3 * PAGE);
    // Beside them the guest's code and its counter.
    assertEquals(headerLength() + (marks + 2) * PAGE, snapshot.length);
  }

  @Test
  void damageInAnyBlockIsRefused() throws Exception {
    Random random = new Random(1);
    long before = descriptors();
    try (FileChannel file = original()) {
      for (int block = 0; block < snapshot.length; block += PAGE) {
        int at = block + random.nextInt(PAGE);
        put(file, at, (byte) (snapshot[at] ^ 1 << random.nextInt(8)));
        var _ = refusal(file);
        put(file, block, new byte[PAGE]);
        var _ = refusal(file);
        int other = (block + PAGE) % snapshot.length;
        put(file, block, Arrays.copyOfRange(snapshot, other, other + PAGE));
        var _ = refusal(file);
        put(file, block, Arrays.copyOfRange(snapshot, block, block + PAGE));
      }
      SnapshotFile.load(file, HERE, config, 2).ram().close();
    }
    assertEquals(before, descriptors());
  }

  @Test
  void damageInAnyByteOfTheHeaderIsRefused() throws Exception {
    try (FileChannel file = original()) {
      for (int at = 0; at < headerLength(); at++) {
        put(file, at, (byte) (snapshot[at] ^ (1 + at % 255)));
        var _ = refusal(file);
        put(file, at, snapshot[at]);
      }
    }
  }

  /** Somebody wrote it with care: it is refused, or a state like any other. */
  @Test
  void noHeaderMakesTheReaderFallOrTakeMoreMemoryThanTheFile() throws Exception {
    long before = descriptors();
    byte[] header = Arrays.copyOf(snapshot, headerLength());
    ByteBuffer numbers = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
    int end = header.length - 1;
    while (header[end] == 0) {
      end--;
    }
    try (FileChannel file = original()) {
      // Registers, which the reader hands on as they are, fill the middle.
      for (int at = CHECKSUM_AT + 4; at <= end; at++) {
        boolean middle = at > 512 && at < end - 2048;
        if (middle && at % 16 != 0) {
          continue;
        }
        header[at] ^= (byte) 0xff;
        refusedOrHarmless(file, header);
        header[at] ^= (byte) 0xff;
        int was = numbers.getInt(at - 3);
        for (int number : new int[] {-1, Integer.MAX_VALUE, 1 << 20}) {
          numbers.putInt(at - 3, number);
          refusedOrHarmless(file, header);
        }
        numbers.putInt(at - 3, was);
      }
    }
    assertEquals(before, descriptors());
  }

  private void refusedOrHarmless(FileChannel file, byte[] header) throws IOException {
    CRC32C crc = new CRC32C();
    crc.update(header, 0, CHECKSUM_AT);
    crc.update(header, CHECKSUM_AT + 4, header.length - CHECKSUM_AT - 4);
    ByteBuffer.wrap(header)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(CHECKSUM_AT, (int) crc.getValue());
    put(file, 0, header);
    try {
      SnapshotFile.load(file, HERE, config, 2).ram().close();
    } catch (RundException e) {
      assertEquals(ErrorCode.FAILED_PRECONDITION, e.code(), e::getMessage);
    }
  }

  @Test
  void aFileThatIsTooShortOrTooLongIsRefused() throws IOException {
    for (int length = 0; length < snapshot.length; length += 509) {
      var _ = refusal(Arrays.copyOf(snapshot, length));
    }
    for (int length = PAGE; length < snapshot.length; length += PAGE) {
      var _ = refusal(Arrays.copyOf(snapshot, length));
    }
    for (int more : new int[] {1, PAGE, 1 << 20}) {
      assertTrue(refusal(Arrays.copyOf(snapshot, snapshot.length + more)).contains("should have"));
    }
    var _ = refusal(Arrays.copyOf(snapshot, snapshot.length - 1));
  }

  @Test
  void anotherFormatIsNamed() throws IOException {
    byte[] newer = snapshot.clone();
    newer[8]++;
    assertTrue(refusal(newer).contains("version 3, this rund reads 2"));
    assertTrue(refusal(new byte[2 * PAGE]).contains("no snapshot of rund"));
  }

  @Test
  void whatItWasMadeForIsCompared() {
    SnapshotIdentity elsewhere =
        new SnapshotIdentity(List.of(HERE.facts().getFirst(), new Fact("CPU", "that one")));
    RundException e = assertThrows(RundException.class, () -> load(snapshot, elsewhere));
    assertEquals(ErrorCode.FAILED_PRECONDITION, e.code());
    assertEquals(
        "it was made for another CPU: \"this one\", and here it is \"that one\"", e.getMessage());
    SnapshotIdentity fewer = new SnapshotIdentity(HERE.facts().subList(0, 1));
    assertThrows(RundException.class, () -> load(snapshot, fewer));
  }

  private static long descriptors() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
      return files.count();
    }
  }
}
