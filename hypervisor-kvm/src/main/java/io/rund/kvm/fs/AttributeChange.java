package io.rund.kvm.fs;

/** What setattr is to change, in the order in which it is done. Reused; for one thread. */
public final class AttributeChange {
  /** Field {@code nanos} of a time that means "now": UTIME_NOW of utimensat(2). */
  static final long NOW = (1L << 30) - 1;

  /** Field {@code nanos} of a time that stays: UTIME_OMIT of utimensat(2). */
  static final long OMIT = (1L << 30) - 2;

  int mode;
  int uid;
  int gid;
  long size;
  long accessSeconds;
  long accessNanos;
  long modifySeconds;
  long modifyNanos;
  boolean killSuidGid;

  public AttributeChange() {
    clear();
  }

  /** Back to changing nothing. */
  public AttributeChange clear() {
    mode = -1;
    uid = -1;
    gid = -1;
    size = -1;
    accessNanos = OMIT;
    modifyNanos = OMIT;
    accessSeconds = 0;
    modifySeconds = 0;
    killSuidGid = false;
    return this;
  }

  /** The permission bits, 07777; others are ignored. */
  public AttributeChange mode(int bits) {
    mode = bits & 07777;
    return this;
  }

  /** -1 leaves it as it is, as in chown(2). */
  public AttributeChange uid(int id) {
    uid = id;
    return this;
  }

  /** -1 leaves it as it is, as in chown(2). */
  public AttributeChange gid(int id) {
    gid = id;
    return this;
  }

  /** In bytes; a negative size is refused with -EINVAL by setAttributes. */
  public AttributeChange size(long bytes) {
    size = bytes < 0 ? Long.MIN_VALUE : bytes;
    return this;
  }

  public AttributeChange accessTime(long seconds, int nanos) {
    accessSeconds = seconds;
    accessNanos = Integer.toUnsignedLong(nanos);
    return this;
  }

  public AttributeChange accessTimeNow() {
    accessNanos = NOW;
    return this;
  }

  public AttributeChange modifyTime(long seconds, int nanos) {
    modifySeconds = seconds;
    modifyNanos = Integer.toUnsignedLong(nanos);
    return this;
  }

  public AttributeChange modifyTimeNow() {
    modifyNanos = NOW;
    return this;
  }

  /** The one who changes the size or owner has no CAP_FSETID: setuid and setgid go. */
  public AttributeChange killSuidGid(boolean kill) {
    killSuidGid = kill;
    return this;
  }

  boolean changesTimes() {
    return accessNanos != OMIT || modifyNanos != OMIT;
  }
}
