package io.rund.kvm.boot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.kvm.memory.GuestMemory;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KernelImageTest {
  private static final long MIB = 1 << 20;
  private static final long LOAD = 2 * MIB;
  private static final int PHDR = 64;
  private static final int TEXT = 0x1000;
  private static final int TEXT_SIZE = 0x800;
  private static final int BSS_END = 0x3000;

  private final GuestMemory memory = GuestMemory.allocate("test", 4 * MIB);

  @TempDir private Path folder;

  @AfterEach
  void free() {
    memory.close();
  }

  @Test
  void segmentsAreLoadedWhereTheySay() throws IOException {
    KernelImage kernel = KernelImage.load(kernel(elf -> {}), memory);
    assertEquals(new KernelImage(LOAD + 0x10, LOAD + BSS_END), kernel);
    assertEquals(0x90, memory.getByte(LOAD + TEXT_SIZE - 1) & 0xff);
    assertEquals(0, memory.getByte(LOAD + TEXT_SIZE));
  }

  @Test
  void filesThatAreNoKernelAreRefusedByName() throws IOException {
    refused("existing vmlinux", folder.resolve("missing"));
    refused("existing vmlinux", folder);
    Path empty = Files.createFile(folder.resolve("empty"));
    refused("not an ELF file", empty);
    refused("not an ELF file", Files.writeString(folder.resolve("text"), "#!/bin/sh\n"));
    byte[] bzImage = new byte[4096];
    ByteBuffer.wrap(bzImage).order(ByteOrder.LITTLE_ENDIAN).putInt(0x202, 0x53726448);
    refused("compressed bzImage", Files.write(folder.resolve("bzImage"), bzImage));
  }

  @Test
  void malformedHeadersAreRefused() throws IOException {
    refused("not an ELF file", kernel(elf -> elf.put(0, (byte) 0)));
    refused("not an x86-64 executable", kernel(elf -> elf.put(4, (byte) 1)));
    refused("not an x86-64 executable", kernel(elf -> elf.put(5, (byte) 2)));
    refused("not an x86-64 executable", kernel(elf -> elf.putShort(16, (short) 3)));
    refused("not an x86-64 executable", kernel(elf -> elf.putShort(18, (short) 183)));
    refused("program headers", kernel(elf -> elf.putLong(32, Long.MAX_VALUE)));
    refused("program headers", kernel(elf -> elf.putLong(32, -1)));
    refused("program headers", kernel(elf -> elf.putShort(54, (short) 32)));
    refused("program headers", kernel(elf -> elf.putShort(56, (short) -1)));
    refused("in no segment", kernel(elf -> elf.putShort(56, (short) 0)));
    refused("in no segment", kernel(elf -> elf.putLong(24, LOAD + TEXT_SIZE)));
    refused("in no segment", kernel(elf -> elf.putLong(24, 0)));
    refused("in no segment", kernel(elf -> elf.putInt(PHDR, 6)));
  }

  @Test
  void segmentsOutsideOfFileOrMemoryAreRefused() throws IOException {
    refused("cut short", kernel(elf -> elf.putLong(PHDR + 8, TEXT + 1)));
    refused("cut short", kernel(elf -> elf.putLong(PHDR + 8, -1)));
    refused("cut short", kernel(elf -> elf.putLong(PHDR + 32, Long.MAX_VALUE)));
    refused("wants to be loaded", kernel(elf -> elf.putLong(PHDR + 40, 1)));
    refused("wants to be loaded", kernel(elf -> elf.putLong(PHDR + 40, -1)));
    refused("wants to be loaded", kernel(elf -> elf.putLong(PHDR + 24, 0x1000)));
    refused("wants to be loaded", kernel(elf -> elf.putLong(PHDR + 24, -0x1000)));
    refused("wants to be loaded", kernel(elf -> elf.putLong(PHDR + 24, 1L << 40)));
    refused("too small", kernel(elf -> elf.putLong(PHDR + 40, 3 * MIB)));
    refused("too small", kernel(elf -> elf.putLong(PHDR + 24, 512 * MIB)));
  }

  private void refused(String because, Path path) {
    RundException e =
        assertThrows(RundException.class, () -> KernelImage.load(path, memory), because);
    assertEquals(ErrorCode.INVALID_ARGUMENT, e.code());
    assertTrue(e.getMessage().contains(because), e.getMessage());
    assertTrue(e.getMessage().contains(path.toString()), e.getMessage());
  }

  /** A kernel of one segment, then spoilt. */
  private Path kernel(Consumer<ByteBuffer> spoil) throws IOException {
    byte[] bytes = new byte[TEXT + TEXT_SIZE];
    ByteBuffer elf = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    elf.put(new byte[] {0x7f, 'E', 'L', 'F', 2, 1, 1});
    elf.putShort(16, (short) 2).putShort(18, (short) 62);
    elf.putLong(24, LOAD + 0x10).putLong(32, PHDR);
    elf.putShort(54, (short) 56).putShort(56, (short) 1);
    elf.putInt(PHDR, 1).putLong(PHDR + 8, TEXT).putLong(PHDR + 24, LOAD);
    elf.putLong(PHDR + 32, TEXT_SIZE).putLong(PHDR + 40, BSS_END);
    for (int i = TEXT; i < bytes.length; i++) {
      bytes[i] = (byte) 0x90;
    }
    spoil.accept(elf);
    return Files.write(folder.resolve("vmlinux"), bytes);
  }
}
