package io.rund.core.hypervisor;

import java.util.HexFormat;

/**
 * An Ethernet address.
 *
 * @param bits the six bytes, the first one on top: 0 to 2^48 - 1
 */
public record MacAddress(long bits) {
  /** Bytes of an address. */
  public static final int SIZE = 6;

  public MacAddress {
    if (bits >>> (8 * SIZE) != 0) {
      throw new IllegalArgumentException("not an Ethernet address: " + Long.toHexString(bits));
    }
  }

  /** The address in the first six bytes. */
  public static MacAddress of(byte[] bytes) {
    long bits = 0;
    for (int i = 0; i < SIZE; i++) {
      bits = bits << 8 | (bytes[i] & 0xff);
    }
    return new MacAddress(bits);
  }

  /** The six bytes as they are sent. */
  public byte[] bytes() {
    byte[] bytes = new byte[SIZE];
    for (int i = 0; i < SIZE; i++) {
      bytes[i] = (byte) (bits >>> (8 * (SIZE - 1 - i)));
    }
    return bytes;
  }

  /** As in {@code 0a:58:0a:f4:00:02}. */
  @Override
  public String toString() {
    return HexFormat.ofDelimiter(":").formatHex(bytes());
  }
}
