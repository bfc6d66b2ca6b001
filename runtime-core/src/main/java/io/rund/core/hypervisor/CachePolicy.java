package io.rund.core.hypervisor;

/** How long a guest may believe what it has read of a share without asking the host again. */
public enum CachePolicy {
  /** Not at all: every look goes to the host. For folders that others write often. */
  NONE,
  /**
   * Names and attributes for at most a second, contents until the file is opened again and has
   * changed since. For folders that others may write, such as volumes.
   */
  AUTO,
  /** Until the guest itself changes it. For what nobody else writes, such as a root file system. */
  ALWAYS
}
