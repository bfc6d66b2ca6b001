package io.rund.kvm.fs;

/** On whose behalf the guest makes a file: ids as the guest says. Reused; for one thread. */
public final class Caller {
  private int uid;
  private int gid;
  private int umask;

  /** {@code umask} applies unless the folder has a default ACL, as on the host. */
  public Caller set(int uid, int gid, int umask) {
    this.uid = uid;
    this.gid = gid;
    this.umask = umask & 0777;
    return this;
  }

  int uid() {
    return uid;
  }

  int gid() {
    return gid;
  }

  int umask() {
    return umask;
  }
}
