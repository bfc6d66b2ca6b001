package io.rund.kvm.vcpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VmExit;
import io.rund.kvm.TestMachine;
import io.rund.kvm.bus.ConsoleTail;
import io.rund.kvm.bus.MmioBus;
import io.rund.kvm.bus.MmioDevice;
import io.rund.kvm.bus.PioBus;
import io.rund.kvm.memory.GuestFault;
import io.rund.kvm.sys.KvmAbi;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class VcpuGroupTest {
  private static final int COUNTER = 0x3000;

  private static final int[] SPIN = {0xeb, 0xfe}; // jmp $
  private static final int[] HALT = {0xfa, 0xf4}; // cli; hlt

  /** loop: inc dword es:[0x3000]; jmp loop */
  private static final int[] COUNT = {0x26, 0x66, 0xff, 0x06, 0x00, 0x30, 0xeb, 0xf8};

  /** loop: mov eax, [0]; mov [4], eax; inc dword es:[0x3000]; jmp loop */
  private static final int[] TOUCH_DEVICE = {
    0x66, 0xa1, 0x00, 0x00, 0x66, 0xa3, 0x04, 0x00, 0x26, 0x66, 0xff, 0x06, 0x00, 0x30, 0xeb, 0xf0
  };

  private static final MmioDevice SILENT =
      new MmioDevice() {
        @Override
        public long read(int offset, int size) {
          return 0;
        }

        @Override
        public void write(int offset, int size, long value) {}
      };

  @Test
  void aTripleFaultIsAShutdown() throws Exception {
    // ud2 in protected mode without an interrupt table
    try (TestMachine machine = new TestMachine(0x0f, 0x0b);
        Arena arena = Arena.ofConfined()) {
      MemorySegment sregs = machine.vcpus.getFirst().sregs(arena);
      sregs.set(ValueLayout.JAVA_LONG, KvmAbi.Sregs.CR0, 0x11);
      sregs.set(
          ValueLayout.JAVA_SHORT,
          KvmAbi.Sregs.IDT + (long) KvmAbi.DescriptorTable.LIMIT,
          (short) 0);
      machine.vcpus.getFirst().setSregs(sregs);
      assertInstanceOf(VmExit.GuestShutdown.class, machine.runToEnd());
    }
  }

  @Test
  void theKeyboardControllersResetIsAShutdown() throws Exception {
    // in al, 0x64; or al, 0xfe; out 0x64, al
    try (TestMachine machine = new TestMachine(0xe4, 0x64, 0x0c, 0xfe, 0xe6, 0x64)) {
      assertInstanceOf(VmExit.GuestShutdown.class, machine.runToEnd());
    }
  }

  /** A thread that it started would be in its cgroup: carriers of virtual threads were. */
  @Test
  void aVcpusThreadStartsNoOther() throws Exception {
    BlockingQueue<Runnable> tasks = new LinkedBlockingQueue<>();
    try (TestMachine machine = new TestMachine(0xb0, 0xfe, 0xe6, 0x64)) { // as above
      VcpuExits exits = new VcpuExits(new PioBus(null), new MmioBus(), new ConsoleTail());
      VcpuGroup group = new VcpuGroup("test", machine.vcpus, exits, tasks::add);
      group.start();
      Runnable task = tasks.poll(30, TimeUnit.SECONDS);
      assertFalse(group.exited().isDone());
      task.run();
      assertInstanceOf(VmExit.GuestShutdown.class, group.exited().get(30, TimeUnit.SECONDS));
      group.close();
    }
  }

  @Test
  void theFirstCpusShutdownEndsTheOthers() throws Exception {
    int[] reset = {0xb0, 0xfe, 0xe6, 0x64}; // mov al, 0xfe; out 0x64, al
    try (TestMachine machine = new TestMachine(4, null, new MmioDevice[0], reset)) {
      assertInstanceOf(VmExit.GuestShutdown.class, machine.runToEnd());
    }
  }

  @Test
  void closeEndsAGuestThatSpins() throws Exception {
    TestMachine machine = new TestMachine(SPIN);
    machine.group.start();
    Thread.sleep(50);
    machine.close();
    assertInstanceOf(VmExit.Closed.class, machine.awaitExit());
  }

  @Test
  void closeEndsAGuestThatHaltsInsideKvm() throws Exception {
    TestMachine machine = new TestMachine(2, null, new MmioDevice[0], HALT);
    machine.group.start();
    Thread.sleep(50);
    machine.close();
    assertInstanceOf(VmExit.Closed.class, machine.awaitExit());
  }

  @Test
  void closeEndsAVmThatNeverStarted() throws Exception {
    TestMachine machine = new TestMachine(SPIN);
    machine.close();
    assertInstanceOf(VmExit.Closed.class, machine.awaitExit());
    assertThrows(RundException.class, machine.group::start);
  }

  @Test
  void aPausedGuestStandsStillAndGoesOnAfterResume() throws Exception {
    try (TestMachine machine = new TestMachine(COUNT)) {
      machine.group.start();
      awaitProgress(machine);
      machine.group.pause();
      int before = machine.memory.getInt(COUNTER);
      Thread.sleep(50);
      assertEquals(before, machine.memory.getInt(COUNTER));
      machine.group.pause();
      machine.group.resume();
      machine.group.resume();
      awaitProgress(machine);
    }
  }

  @Test
  void aHaltedGuestCanBePausedAndClosedWhilePaused() throws Exception {
    TestMachine machine = new TestMachine(HALT);
    machine.group.start();
    machine.group.pause();
    machine.close();
    machine.group.resume();
    machine.group.pause();
    assertInstanceOf(VmExit.Closed.class, machine.awaitExit());
  }

  @Test
  void pauseResumeAndCloseMayRace() throws Exception {
    for (int round = 0; round < 20; round++) {
      TestMachine machine = new TestMachine(1, null, new MmioDevice[] {SILENT}, TOUCH_DEVICE);
      machine.group.start();
      Thread[] threads = new Thread[3];
      for (int i = 0; i < threads.length; i++) {
        threads[i] =
            Thread.ofPlatform()
                .start(
                    () -> {
                      for (int n = 0; n < 50; n++) {
                        if (ThreadLocalRandom.current().nextBoolean()) {
                          machine.group.pause();
                        } else {
                          machine.group.resume();
                        }
                      }
                    });
      }
      if (round % 2 == 0) {
        machine.close();
      }
      for (Thread thread : threads) {
        thread.join();
      }
      if (round % 2 != 0) {
        machine.group.resume();
        awaitProgress(machine);
        machine.close();
      }
      assertInstanceOf(VmExit.Closed.class, machine.awaitExit());
    }
  }

  @Test
  void codeOutsideOfMemoryFailsThatVmAlone() throws Exception {
    // jmp 0xf000:0, which is not RAM
    try (TestMachine bad = new TestMachine(0xea, 0x00, 0x00, 0x00, 0xf0);
        TestMachine good = new TestMachine(COUNT)) {
      good.group.start();
      VmExit exit = bad.runToEnd();
      String reason = assertInstanceOf(VmExit.Failed.class, exit).reason();
      assertTrue(reason.contains("vCPU 0"), reason);
      awaitProgress(good);
      assertFalse(good.group.exited().isDone());
    }
  }

  @Test
  void aDeviceThatThrowsFailsTheVm() throws Exception {
    MmioDevice broken =
        new MmioDevice() {
          @Override
          public long read(int offset, int size) {
            throw new GuestFault("no such register");
          }

          @Override
          public void write(int offset, int size, long value) {}
        };
    try (TestMachine machine = new TestMachine(1, null, new MmioDevice[] {broken}, TOUCH_DEVICE)) {
      VmExit exit = machine.runToEnd();
      assertEquals(new VmExit.Failed("vCPU 0: no such register"), exit);
    }
  }

  /** Returns once the guest has counted on. */
  private static void awaitProgress(TestMachine machine) throws InterruptedException {
    int before = machine.memory.getInt(COUNTER);
    while (machine.memory.getInt(COUNTER) == before) {
      Thread.sleep(1);
    }
  }
}
