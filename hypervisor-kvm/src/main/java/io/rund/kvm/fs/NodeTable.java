package io.rund.kvm.fs;

import com.sun.jna.LastErrorException;
import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;
import io.rund.core.linux.StatFs;
import java.util.Collection;
import java.util.function.Consumer;
import java.util.function.Predicate;

/**
 * The files that the guest knows. A file is one node, however often and by whatever name it is
 * looked up in the same share: the guest's kernel keeps one inode for it, with one page cache. What
 * tells files apart is mount, file system and inode number; a node's descriptor keeps all three
 * from being used again. Thread-safe.
 */
final class NodeTable {
  private static final int FIRST_BUCKETS = 256;

  private final NodeBudget.Part budget;
  private final SlotTable<Node> slots;
  private Node[] buckets = new Node[FIRST_BUCKETS];
  private int count;

  NodeTable(NodeBudget.Part budget) {
    this.budget = budget;
    slots = new SlotTable<>(budget.capacity(), node -> node.id);
  }

  /** The node, which the caller must release, or null if no file is behind that id. */
  Node acquire(long id) {
    Node node = slots.get(id);
    return node != null && !node.isLost() && node.acquire() ? node : null;
  }

  /**
   * Gives the file behind an O_PATH descriptor to the guest; takes the descriptor over.
   *
   * @param parent where it was found; null for a share's root
   * @param counted whether the budget already counts the descriptor
   */
  int enter(MountedShare share, Node parent, int fd, boolean counted, Entry out) {
    Attributes attributes = out.attributes();
    int result = Worker.attributes(fd, attributes);
    boolean elsewhere =
        parent == null
            || parent.mount != attributes.mount()
            || parent.device != attributes.fileSystem();
    if (result == 0 && elsewhere) {
      result = refusesMount(fd);
    }
    long id = result < 0 ? result : intern(share, fd, attributes, counted);
    if (id < 0) {
      int ignored = FileCalls.close(fd);
      if (counted) {
        budget.give();
      }
      return (int) id;
    }
    boolean folder = (attributes.mode() & Linux.S_IFMT) == Linux.S_IFDIR;
    out.set(id, folder && elsewhere, parent == null ? CachePolicy.NONE : share.cache);
    attributes.setCache(share.cache);
    return 0;
  }

  /**
   * The host's /proc, /sys and the like, when a share is of "/" with all that is mounted there:
   * they would answer the engine, which may do more than any guest.
   */
  static int refusesMount(int fd) {
    try {
      return StatFs.of(fd).kernelView().isPresent() ? -Linux.EACCES : 0;
    } catch (LastErrorException e) {
      return -e.getErrorCode();
    }
  }

  private long intern(MountedShare share, int fd, Attributes attributes, boolean counted) {
    Node known;
    synchronized (this) {
      if (share.removed) {
        return -Linux.ESTALE;
      }
      known = find(share, attributes);
      if (known == null) {
        if (!counted && !budget.take()) {
          return -Linux.ENFILE;
        }
        Node node = new Node(slots.nextId(), share, fd, attributes, budget);
        slots.put(node);
        chain(node);
        return node.id;
      }
      known.lookups++;
    }
    int ignored = FileCalls.close(fd);
    if (counted) {
      budget.give();
    }
    return known.id;
  }

  /** Calls {@code visitor} for each node, none of which is closed meanwhile. */
  synchronized void each(Consumer<Node> visitor) {
    slots.each(visitor);
  }

  synchronized SlotTable.Ids ids() {
    return slots.ids();
  }

  /**
   * Fills the empty table; every node must count in the budget. Several may be of one file: each
   * keeps its id.
   */
  synchronized void restore(SlotTable.Ids ids, Collection<Node> saved) {
    slots.restore(ids, saved);
    saved.forEach(this::chain);
  }

  /** Takes {@code times} lookups back; without any left, the node goes. */
  void forget(long id, long times) {
    Node node;
    synchronized (this) {
      node = slots.get(id);
      if (node == null) {
        return;
      }
      // A hostile guest gives back what it was never given: no less than nothing is left.
      node.lookups = Long.compareUnsigned(times, node.lookups) >= 0 ? 0 : node.lookups - times;
      if (node.lookups > 0) {
        return;
      }
      remove(node);
    }
    node.release();
  }

  /** Takes out every node of a share that is marked as removed. */
  void sweep(MountedShare share) {
    sweep(node -> node.share == share);
  }

  /** Takes out every node. */
  void clear() {
    sweep(_ -> true);
  }

  private void sweep(Predicate<Node> which) {
    Node gone = null;
    synchronized (this) {
      for (int i = 0; i < slots.places(); i++) {
        Node node = slots.at(i);
        if (node != null && which.test(node)) {
          remove(node);
          node.next = gone;
          gone = node;
        }
      }
    }
    while (gone != null) {
      Node next = gone.next;
      gone.release();
      gone = next;
    }
  }

  private Node find(MountedShare share, Attributes attributes) {
    long inode = attributes.inode();
    Node node = buckets[bucket(inode)];
    while (node != null && (node.share != share || !node.is(attributes))) {
      node = node.next;
    }
    return node;
  }

  private int bucket(long inode) {
    long mixed = inode * 0x9E3779B97F4A7C15L;
    return (int) (mixed >>> 32) & (buckets.length - 1);
  }

  private void chain(Node node) {
    if (++count > buckets.length) {
      Node[] old = buckets;
      buckets = new Node[2 * old.length];
      for (Node first : old) {
        for (Node each = first; each != null; ) {
          Node next = each.next;
          push(each);
          each = next;
        }
      }
    }
    push(node);
  }

  private void push(Node node) {
    int bucket = bucket(node.inode);
    node.next = buckets[bucket];
    buckets[bucket] = node;
  }

  private void remove(Node node) {
    slots.remove(node);
    count--;
    int bucket = bucket(node.inode);
    if (buckets[bucket] == node) {
      buckets[bucket] = node.next;
      return;
    }
    Node before = buckets[bucket];
    while (before.next != node) {
      before = before.next;
    }
    before.next = node.next;
  }
}
