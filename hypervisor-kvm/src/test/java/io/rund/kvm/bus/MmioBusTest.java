package io.rund.kvm.bus;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class MmioBusTest {
  private final List<String> seen = new ArrayList<>();

  private final class Recorder implements MmioDevice {
    private final String name;

    Recorder(String name) {
      this.name = name;
    }

    @Override
    public long read(int offset, int size) {
      seen.add("%s r%d %x".formatted(name, size, offset));
      return 42;
    }

    @Override
    public void write(int offset, int size, long value) {
      seen.add("%s w%d %x=%x".formatted(name, size, offset, value));
    }
  }

  private final MmioBus bus = new MmioBus(new Recorder("a"), new Recorder("b"));

  @Test
  void anAccessGoesToTheDeviceOfItsWindow() {
    assertEquals(42, bus.read(MmioBus.address(0) + 4, 4));
    bus.write(MmioBus.address(1) + 0xfff, 1, 7);
    assertEquals(List.of("a r4 4", "b w1 fff=7"), seen);
  }

  @Test
  void elsewhereThereIsNothing() {
    assertEquals(-1, bus.read(MmioBus.BASE - 1, 1));
    assertEquals(-1, bus.read(MmioBus.address(2), 4));
    assertEquals(-1, bus.read(0xffff_ffff_ffff_fff8L, 8));
    assertEquals(-1, bus.read(MmioBus.address(0) + 0xffd, 3));
    bus.write(MmioBus.address(0) + 0xffd, 3, 1);
    bus.write(0, 4, 1);
    assertEquals(List.of(), seen);
  }
}
