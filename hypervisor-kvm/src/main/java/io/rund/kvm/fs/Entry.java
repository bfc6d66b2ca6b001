package io.rund.kvm.fs;

import io.rund.core.hypervisor.CachePolicy;

/**
 * The answer to a lookup: a node that the guest now holds once more, until it forgets it. Reused;
 * for one thread.
 */
public final class Entry {
  private final Attributes attributes = new Attributes();
  private long node;
  private boolean submount;
  private CachePolicy nameCache = CachePolicy.NONE;

  /** Id of the node; unique over the life of the file system, so its generation is always 0. */
  public long node() {
    return node;
  }

  public Attributes attributes() {
    return attributes;
  }

  /** Whether this is a folder on another file system than its parent's. */
  public boolean submount() {
    return submount;
  }

  /**
   * How long the guest may believe that the name leads here. NONE for the shares themselves, which
   * come and go, whatever the policy of what is in them.
   */
  public CachePolicy nameCache() {
    return nameCache;
  }

  void set(long id, boolean isSubmount, CachePolicy nameCachePolicy) {
    node = id;
    submount = isSubmount;
    nameCache = nameCachePolicy;
  }
}
