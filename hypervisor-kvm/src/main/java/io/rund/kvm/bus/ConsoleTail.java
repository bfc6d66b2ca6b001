package io.rund.kvm.bus;

import java.nio.charset.StandardCharsets;

/**
 * The last words of a guest: what its kernel prints when it dies, kept in memory up to {@link
 * #LIMIT} bytes. A kernel that is booted quietly prints nothing else. Safe for use by several
 * threads.
 */
public final class ConsoleTail implements ConsoleOutput {
  /** Bytes that are kept. */
  static final int LIMIT = 4096;

  /** Made at the first character: most guests never say one. */
  private byte[] ring;

  private long written;

  @Override
  public synchronized void append(byte character) {
    if (ring == null) {
      ring = new byte[LIMIT];
    }
    ring[(int) (written++ % LIMIT)] = character;
  }

  /** What is kept, made printable, since it is the guest's; empty if it said nothing. */
  public synchronized String text() {
    int length = (int) Math.min(written, LIMIT);
    byte[] kept = new byte[length];
    for (int i = 0; i < length; i++) {
      kept[i] = ring[(int) ((written - length + i) % LIMIT)];
    }
    return new String(kept, StandardCharsets.US_ASCII)
        .replace("\r", "")
        .replaceAll("[^\\x20-\\x7e\\n]", "?")
        .strip();
  }
}
