package io.rund.kvm.sys;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.hypervisor.VmExit;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Linux;
import io.rund.kvm.TestMachine;
import io.rund.kvm.bus.MmioBus;
import io.rund.kvm.bus.MmioDevice;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class EventFdsTest {
  private static final int QUEUE_NOTIFY = 0x50;

  @Test
  void aKickReachesTheLoopAndOnlyOthersReachTheDevice() throws Exception {
    List<Long> writes = new CopyOnWriteArrayList<>();
    MmioDevice device =
        new MmioDevice() {
          @Override
          public long read(int offset, int size) {
            return 0;
          }

          @Override
          public void write(int offset, int size, long value) {
            writes.add(value);
          }
        };
    // mov dword [0x50], 1; mov dword [0x50], 2; mov al, 0xfe; out 0x64, al
    int[] code = {
      0x66, 0xc7, 0x06, 0x50, 0x00, 0x01, 0x00, 0x00, 0x00, //
      0x66, 0xc7, 0x06, 0x50, 0x00, 0x02, 0x00, 0x00, 0x00, //
      0xb0, 0xfe, 0xe6, 0x64
    };
    CountDownLatch kicked = new CountDownLatch(1);
    try (EventLoop loop = new EventLoop("test-loop");
        Fd eventFd = Fd.eventFd();
        TestMachine machine = new TestMachine(1, null, new MmioDevice[] {device}, code)) {
      loop.execute(() -> watchOnce(loop, eventFd, kicked));
      machine.vm.assignKick(eventFd, MmioBus.address(0) + QUEUE_NOTIFY, 1);
      assertInstanceOf(VmExit.GuestShutdown.class, machine.runToEnd());
      assertTrue(kicked.await(10, TimeUnit.SECONDS));
      assertEquals(List.of(2L), writes);
      machine.vm.removeKick(eventFd, MmioBus.address(0) + QUEUE_NOTIFY, 1);
    }
  }

  private static void watchOnce(EventLoop loop, Fd eventFd, CountDownLatch kicked) {
    EventLoop.Registration[] registration = new EventLoop.Registration[1];
    registration[0] =
        loop.register(
            eventFd.number(),
            Linux.EPOLLIN,
            events -> {
              registration[0].close();
              kicked.countDown();
            });
  }

  @Test
  void anInterruptWakesAHaltedGuest() throws Exception {
    // Vector 0x25 leads to 0x1100. Initialise the PIC: edge, base 0x20, nothing masked; wait.
    int[] code = {
      0xb0,
      0x11,
      0xe6,
      0x20,
      0xb0,
      0x20,
      0xe6,
      0x21,
      0xb0,
      0x04,
      0xe6,
      0x21, //
      0xb0,
      0x01,
      0xe6,
      0x21,
      0xb0,
      0x00,
      0xe6,
      0x21, //
      0xfb,
      0xf4,
      0xeb,
      0xfc // sti; hlt; jmp back
    };
    try (TestMachine machine = new TestMachine(code);
        IrqFd irq = new IrqFd(machine.vm, 5)) {
      machine.memory.putShort(0x25 * 4, (short) 0x1100);
      machine.memory.putInt(0x1100, 0x64e6feb0); // mov al, 0xfe; out 0x64, al
      irq.connect();
      machine.group.start();
      Thread.sleep(100);
      irq.raise();
      assertInstanceOf(VmExit.GuestShutdown.class, machine.awaitExit());
    }
  }
}
