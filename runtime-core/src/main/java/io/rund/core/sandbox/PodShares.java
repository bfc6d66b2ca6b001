package io.rund.core.sandbox;

import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.hypervisor.Share;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.linux.Fd;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;

/**
 * Directories and files of the host that containers of one pod see: one share for all that mount
 * the same, so that the guest's kernel has one inode for each file. Only so is a socket, a lock, a
 * shared mapping or a watch of one container the others', too. Safe for use by several threads.
 */
final class PodShares {
  /**
   * What is mounted.
   *
   * @param path without symbolic links
   * @param device and {@code inode} of what is there now
   */
  record Source(
      Path path,
      HostFile.DeviceNumber device,
      long inode,
      boolean recursive,
      boolean slave,
      CachePolicy cache) {}

  private record Key(Source source, boolean readOnly) {}

  private static final class Use {
    final String name;
    int containers = 1;

    Use(String name) {
      this.name = name;
    }
  }

  private final VirtualMachine vm;

  // Under this object's lock.
  private final Map<Key, Use> uses = new HashMap<>();
  private int next;

  PodShares(VirtualMachine vm) {
    this.vm = vm;
  }

  /**
   * The name of the share of {@code source}, which the guest sees from now on. Who wants it
   * read-only gets the one that another container writes to, if there is one.
   *
   * @param containerId in whose name a new one is made
   * @param open called for a new one
   */
  synchronized String take(Source source, boolean readOnly, String containerId, Supplier<Fd> open) {
    Key writable = new Key(source, false);
    Key key = readOnly && !uses.containsKey(writable) ? new Key(source, true) : writable;
    Use use = uses.get(key);
    if (use != null) {
      use.containers++;
      return use.name;
    }
    String name = "%s-shared-%d".formatted(containerId, next++);
    vm.share(new Share(name, open.get(), readOnly, source.cache()));
    uses.put(key, new Use(name));
    return name;
  }

  /** A container needs a share no more: one that {@link #take} named, or one that is its own. */
  synchronized void giveBack(String name) {
    for (Use use : uses.values()) {
      if (use.name.equals(name) && --use.containers > 0) {
        return;
      }
    }
    uses.values().removeIf(use -> use.name.equals(name));
    vm.unshare(name);
  }
}
