package io.rund.kvm;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

/** Writes a vmlinux of a few bytes of 64-bit code, loaded at 1 MiB. */
final class TinyKernel {
  private static final int LOAD = 1 << 20;
  private static final int HEADERS = 64 + 56;

  private TinyKernel() {}

  static Path write(Path path, int... code) throws IOException {
    ByteBuffer elf = ByteBuffer.allocate(HEADERS + code.length).order(ByteOrder.LITTLE_ENDIAN);
    elf.put(new byte[] {0x7f, 'E', 'L', 'F', 2, 1, 1});
    elf.putShort(16, (short) 2).putShort(18, (short) 62);
    elf.putLong(24, LOAD).putLong(32, 64);
    elf.putShort(54, (short) 56).putShort(56, (short) 1);
    elf.putInt(64, 1).putLong(64 + 8, HEADERS).putLong(64 + 24, LOAD);
    elf.putLong(64 + 32, code.length).putLong(64 + 40, code.length);
    for (int i = 0; i < code.length; i++) {
      elf.put(HEADERS + i, (byte) code[i]);
    }
    return Files.write(path, elf.array());
  }
}
