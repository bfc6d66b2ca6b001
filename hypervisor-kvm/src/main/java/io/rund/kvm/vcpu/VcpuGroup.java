package io.rund.kvm.vcpu;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VmExit;
import io.rund.kvm.sys.KvmVcpu;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/**
 * A VM's vCPUs and the threads that run them, started, stopped and continued together. Methods may
 * be called from any thread that is not one of the vCPUs'.
 *
 * <p>How a vCPU is stopped: under {@code lock} the wish is noted, {@link #attention} and each
 * kvm_run's immediate_exit are set, and the threads are signalled. Wherever a thread was, it now
 * meets one of the three before it runs guest code again, and then waits at {@link #mayRun}.
 */
public final class VcpuGroup implements AutoCloseable {
  private enum Wish {
    NEW,
    RUN,
    PAUSE,
    STOP
  }

  private final String vm;
  private final List<KvmVcpu> vcpus;
  private final VcpuExits exits;
  private final Executor loop;
  private final CompletableFuture<VmExit> exited = new CompletableFuture<>();

  /** Set while the wish is not RUN; the only thing a running vCPU looks at. */
  private volatile boolean attention;

  private final Object lock = new Object();
  private final List<VcpuThread> threads = new ArrayList<>();
  private Wish wish = Wish.NEW;
  private VmExit exit;
  private int alive;
  private int waiting;

  /**
   * @param vm the sandbox's id, for messages and thread names
   * @param vcpus owned by the group from now on
   * @param loop where threads are started from: one that a vCPU's thread starts, be it a carrier of
   *     virtual threads, would be born into the sandbox's cgroup, with its share of the CPU
   */
  public VcpuGroup(String vm, List<KvmVcpu> vcpus, VcpuExits exits, Executor loop) {
    this.vm = vm;
    this.vcpus = List.copyOf(vcpus);
    this.exits = exits;
    this.loop = loop;
    KickSignal.number();
  }

  /** Completes, on a thread of its own, when no vCPU will run again. */
  public CompletableFuture<VmExit> exited() {
    return exited;
  }

  /** Runs the vCPUs; once. */
  public void start() {
    synchronized (lock) {
      if (wish != Wish.NEW) {
        throw RundException.precondition("VM " + vm + " was already started or closed");
      }
      wish = Wish.RUN;
      try {
        for (KvmVcpu vcpu : vcpus) {
          VcpuThread thread = new VcpuThread(vm, vcpu, this, exits);
          thread.start();
          threads.add(thread);
          alive++;
        }
      } catch (OutOfMemoryError e) {
        stop(new VmExit.Failed("cannot create a vCPU thread"));
        throw new RundException(
            ErrorCode.RESOURCE_EXHAUSTED,
            "cannot create a thread for a vCPU of VM " + vm + "; raise the limit of threads",
            e);
      }
    }
  }

  /** Returns when no vCPU executes guest code. Idempotent; nothing if the VM has ended. */
  public void pause() {
    synchronized (lock) {
      if (wish == Wish.RUN) {
        wish = Wish.PAUSE;
        interrupt();
      }
      boolean interrupted = false;
      while (wish == Wish.PAUSE && waiting < alive) {
        try {
          lock.wait();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Continues after {@link #pause}. Idempotent. */
  public void resume() {
    synchronized (lock) {
      if (wish == Wish.PAUSE) {
        wish = Wish.RUN;
        attention = false;
        for (VcpuThread thread : threads) {
          thread.vcpu().immediateExit(false);
        }
        lock.notifyAll();
      }
    }
  }

  /** The kernel's ids of the threads that run now. */
  public List<Integer> threadIds() {
    List<VcpuThread> started;
    synchronized (lock) {
      started = List.copyOf(threads);
    }
    return started.stream().map(VcpuThread::threadId).filter(tid -> tid > 0).toList();
  }

  /** Time that the threads which run now have had on CPUs. */
  public long cpuNanos() {
    return threadIds().stream().mapToLong(VcpuGroup::cpuNanos).sum();
  }

  /** The first number of schedstat is the time on the CPU (Documentation/scheduler/sched-stats). */
  private static long cpuNanos(int thread) {
    try {
      String text = Files.readString(Path.of("/proc/self/task/" + thread + "/schedstat"));
      return Long.parseLong(text.substring(0, text.indexOf(' ')));
    } catch (IOException | NumberFormatException | StringIndexOutOfBoundsException e) {
      // The thread has ended, or the kernel does not count.
      return 0;
    }
  }

  /** Ends all vCPUs; the first reason is the one that counts. Does not wait. */
  void stop(VmExit reason) {
    synchronized (lock) {
      if (wish != Wish.STOP) {
        exit = reason;
        wish = Wish.STOP;
        interrupt();
        lock.notifyAll();
        if (alive == 0) {
          complete();
        }
      }
    }
  }

  private void interrupt() {
    attention = true;
    for (VcpuThread thread : threads) {
      thread.interruptGuest();
    }
  }

  /** Whether a vCPU may enter the guest; waits while the VM is paused. On the vCPU's thread. */
  boolean mayRun(KvmVcpu vcpu) {
    return !attention || awaitResume(vcpu);
  }

  private boolean awaitResume(KvmVcpu vcpu) {
    synchronized (lock) {
      if (wish == Wish.PAUSE) {
        vcpu.notePause();
      }
      while (wish == Wish.PAUSE) {
        waiting++;
        lock.notifyAll();
        try {
          lock.wait();
        } catch (InterruptedException e) {
          // Nobody interrupts these threads with reason, and only the wish can end them.
        } finally {
          waiting--;
        }
      }
      return wish == Wish.RUN;
    }
  }

  /** The calling vCPU thread runs no more guest code. */
  void left() {
    synchronized (lock) {
      alive--;
      lock.notifyAll();
      if (alive == 0) {
        complete();
      }
    }
  }

  /** Whoever waits for the end may do anything, so it is not done on a vCPU's small stack. */
  private void complete() {
    VmExit reason = exit;
    loop.execute(() -> Thread.ofVirtual().name("exit-" + vm).start(() -> exited.complete(reason)));
  }

  /** Ends the vCPUs, waits for their threads and closes their descriptors. Idempotent. */
  @Override
  public void close() {
    stop(new VmExit.Closed());
    List<VcpuThread> started;
    synchronized (lock) {
      started = List.copyOf(threads);
    }
    boolean interrupted = false;
    for (VcpuThread thread : started) {
      interrupted |= thread.join();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    vcpus.forEach(KvmVcpu::close);
  }
}
