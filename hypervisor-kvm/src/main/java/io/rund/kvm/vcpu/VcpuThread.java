package io.rund.kvm.vcpu;

import io.rund.core.hypervisor.VmExit;
import io.rund.core.linux.Linux;
import io.rund.kvm.memory.GuestFault;
import io.rund.kvm.sys.KvmVcpu;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One vCPU on its platform thread. What goes wrong here ends this VM and no other. */
final class VcpuThread {
  private static final Logger log = LoggerFactory.getLogger(VcpuThread.class);

  /** Bytes: enough for the exit path, a device's register access and a log message. */
  private static final int STACK_SIZE = 256 << 10;

  private final String vm;
  private final KvmVcpu vcpu;
  private final VcpuGroup group;
  private final VcpuExits exits;
  private final Thread thread;

  /**
   * The kernel's id while the loop runs, 0 before and -1 after: a dead thread's id may already be
   * another's.
   */
  private int tid;

  VcpuThread(String vm, KvmVcpu vcpu, VcpuGroup group, VcpuExits exits) {
    this.vm = vm;
    this.vcpu = vcpu;
    this.group = group;
    this.exits = exits;
    this.thread = new Thread(null, this::run, "vcpu" + vcpu.index() + "-" + vm, STACK_SIZE);
    thread.setDaemon(true);
  }

  /** Returns when the thread runs and has its id. */
  void start() {
    thread.start();
    synchronized (this) {
      boolean interrupted = false;
      while (tid == 0) {
        try {
          wait();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** The kernel's id; not positive if the thread has ended. */
  synchronized int threadId() {
    return tid;
  }

  KvmVcpu vcpu() {
    return vcpu;
  }

  /** Takes the vCPU out of the guest, or keeps it from entering. */
  synchronized void interruptGuest() {
    if (tid >= 0) {
      vcpu.immediateExit(true);
    }
    if (tid > 0) {
      KickSignal.send(tid);
    }
  }

  private synchronized void tid(int newTid) {
    tid = newTid;
    notifyAll();
  }

  private void run() {
    try {
      tid(KickSignal.currentThread());
      VmExit exit = loop();
      if (exit != null) {
        group.stop(exit);
      }
    } catch (GuestFault e) {
      fail(e.getMessage(), null);
    } catch (Throwable t) {
      fail(t.toString(), t);
    } finally {
      tid(-1);
      group.left();
    }
  }

  /** Until the group stops (null) or the guest ends the VM. */
  private VmExit loop() {
    while (group.mayRun(vcpu)) {
      int errno = vcpu.run();
      if (errno == 0) {
        VmExit exit = exits.handle(vcpu);
        if (exit instanceof VmExit.Failed failed) {
          fail(failed.reason(), null);
          return null;
        }
        if (exit != null) {
          return exit;
        }
      } else if (errno != Linux.EINTR && errno != Linux.EAGAIN) {
        fail("KVM_RUN failed with errno " + errno, null);
        return null;
      }
    }
    return null;
  }

  private void fail(String reason, Throwable cause) {
    String message = "vCPU " + vcpu.index() + ": " + reason;
    log.error("VM {} failed: {}\n{}", vm, message, RegisterDump.of(vcpu), cause);
    group.stop(new VmExit.Failed(message));
  }

  /** Waits for the thread to end; whether the caller was interrupted meanwhile. */
  boolean join() {
    boolean interrupted = false;
    while (true) {
      try {
        thread.join();
        return interrupted;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
  }
}
