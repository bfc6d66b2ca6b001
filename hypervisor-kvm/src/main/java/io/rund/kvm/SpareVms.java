package io.rund.kvm;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.Pool;
import io.rund.kvm.boot.Boot;
import io.rund.kvm.sys.KvmSystem;
import io.rund.kvm.sys.KvmVm;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * VMs that have nothing yet but their interrupt controllers, made before they are wanted: for each
 * the kernel starts a thread and moves it into the caller's cgroups, and waits for all CPUs
 * meanwhile (kvm_vm_create_worker_thread in virt/kvm/kvm_main.c). Safe for use by several threads;
 * whoever finds none makes one, so nobody waits for another's.
 */
final class SpareVms implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(SpareVms.class);

  /** Starts that come together share the CPUs anyway, so a few are enough. */
  static final int MOST = 2;

  private final KvmSystem kvm;

  // Under this object's lock.
  private final Deque<KvmVm> spare = new ArrayDeque<>();
  private Optional<Thread> maker = Optional.empty();
  private boolean closed;

  SpareVms(KvmSystem kvm) {
    this.kvm = kvm;
  }

  /**
   * A VM, owned by the caller, ready for memory and vCPUs.
   *
   * @throws RundException if the host gives none
   */
  KvmVm take() {
    Optional<KvmVm> vm = takeSpare();
    return vm.isPresent() ? vm.get() : make();
  }

  private synchronized Optional<KvmVm> takeSpare() {
    if (maker.isEmpty() && !closed) {
      startMaker();
    }
    return Optional.ofNullable(spare.poll());
  }

  /** A host that has no thread to give now may have a VM all the same. */
  private void startMaker() {
    try {
      maker = Optional.of(Thread.ofPlatform().daemon().name("rund-spare-vms").start(this::refill));
    } catch (OutOfMemoryError e) {
      log.debug("no thread that makes spare VMs", e);
    }
  }

  private KvmVm make() {
    KvmVm vm = kvm.createVm();
    try {
      Boot.prepare(vm);
      return vm;
    } catch (Throwable e) {
      vm.close();
      throw e;
    }
  }

  private void refill() {
    try {
      while (isShort()) {
        keep(make());
      }
    } catch (RundException | OutOfMemoryError e) {
      // Whoever needs one finds out, and says so.
      log.debug("no spare VM: {}", e.toString());
      endOfMaker();
    }
  }

  private synchronized boolean isShort() {
    boolean more = !closed && spare.size() < MOST;
    if (!more) {
      endOfMaker();
    }
    return more;
  }

  private synchronized void endOfMaker() {
    maker = Optional.empty();
  }

  private synchronized void keep(KvmVm vm) {
    spare.add(vm);
  }

  synchronized Pool pool() {
    return new Pool("vm", spare.size(), MOST);
  }

  private synchronized Optional<Thread> stop() {
    closed = true;
    return maker;
  }

  /** Waits for one that is being made. */
  @Override
  public void close() {
    stop().ifPresent(SpareVms::join);
    synchronized (this) {
      spare.forEach(KvmVm::close);
      spare.clear();
    }
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
