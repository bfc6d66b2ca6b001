package io.rund.core.hypervisor;

import io.rund.core.linux.EventLoop;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/**
 * One VM. Methods may be called from any thread unless they say otherwise; they block for at most
 * the time of some system calls.
 */
public interface VirtualMachine extends AutoCloseable {
  /** The loop that serves this VM's devices and streams. */
  EventLoop loop();

  /**
   * Accepts vsock connections that the guest makes to {@code port} of CID 2. {@code onAccept} runs
   * on {@link #loop()} and must set the stream's handler. At most {@code limit} connections are
   * accepted in all, further ones are reset; closing the result stops listening.
   */
  AutoCloseable listen(int port, int limit, Consumer<VsockStream> onAccept);

  /**
   * Puts a disk into a free slot and returns the slot's number. Before {@link #start} the guest
   * finds it at boot; after it, the agent has to bind the slot.
   */
  int plug(DiskConfig disk);

  /**
   * Puts a network card into a free slot, as {@link #plug(DiskConfig)}. Owns the tap from now on,
   * also if this throws.
   */
  int plug(NicConfig nic);

  /** Takes the device out of a slot that the agent has unbound; closes its backend. */
  void unplug(int slot);

  /**
   * Lets the guest see a share, at once, and owns its descriptor from now on, also if this throws.
   *
   * @throws io.rund.core.error.RundException ALREADY_EXISTS if the name is taken
   */
  void share(Share share);

  /**
   * Takes a share away and closes every descriptor that the guest has in it; later requests there
   * fail with ESTALE. Nothing happens if there is no such share.
   */
  void unshare(String name);

  /** Where this process maps the guest's RAM, for who measures it; empty once the VM has ended. */
  List<AddressRange> ram();

  /** Runs the vCPUs for the first time. */
  void start();

  /**
   * Stops all vCPUs and returns when none executes guest code; {@link #resume} continues.
   * Idempotent.
   */
  void pause();

  void resume();

  /** The kernel's ids of the threads that run the vCPUs now. */
  List<Integer> vcpuThreads();

  /**
   * Tells a clone that its guest is about to work for its user: RAM that it has not used yet comes
   * in huge pages from now on, where the host has some. Before, it needs little of each, and small
   * pages take less. What it has written until now is none of that user's, and other clones of its
   * template will probably write it, too. Nothing happens if the VM has ended.
   */
  void beginsToWork();

  /**
   * What the VM has of the host.
   *
   * @param cpuNanos time that the vCPUs' threads have had on CPUs, in the guest and for it
   * @param memoryBytes guest RAM that is there
   */
  record Usage(long cpuNanos, long memoryBytes) {}

  Usage usage();

  /**
   * What clones are made of. The guest's agent must have connected and must not have been spoken
   * to, and its clones are connected as it is. Waits for the guest to come to rest.
   *
   * @throws io.rund.core.error.RundException if the host cannot tell the VM's state or the guest
   *     does not come to rest
   */
  VmTemplate template();

  /**
   * The VM as it is, which runs on. In its clones every connection has ended and the agent makes
   * another one; before they start they must have got the same shares; and network cards are gone,
   * of which the agent has to unbind the slots.
   *
   * @param meanwhile runs while the guest stands still and no request of its is under way: what it
   *     copies of the host is what the guest knows
   * @throws io.rund.core.error.RundException UNAVAILABLE if the guest has requests that do not end,
   *     FAILED_PRECONDITION if it has a disk
   */
  VmTemplate snapshot(Runnable meanwhile);

  /** Completes when no vCPU will run again. */
  CompletableFuture<VmExit> exited();

  /**
   * Ends the VM if it runs and releases everything it has: vCPU threads, descriptors, memory.
   * Idempotent; waits.
   */
  @Override
  void close();
}
