package io.rund.kvm.virtio.fs;

import io.rund.kvm.virtio.DriverQueue;
import io.rund.kvm.virtio.DriverQueue.Buffer;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Sends requests that are almost right: a good form with wrong numbers, good numbers in a wrong
 * form, or plain noise, in random pieces of memory.
 */
final class FuseFuzzer {
  /** Would reach beyond the test: a sync of the host's disk, and its space. */
  private static final List<Integer> AVOIDED = List.of(FuseGuest.SYNCFS, FuseGuest.FALLOCATE);

  private static final String[] NAMES = {
    "v", "ro", "file", "sub", "link", "new", ".", "..", "a/b", "", "\u00ff", "x".repeat(256)
  };

  private final FuseGuest guest;
  private final Random random;
  private final long area;
  private final List<Long> numbers = new ArrayList<>(List.of(0L, 1L, 2L, -1L, Long.MIN_VALUE));

  FuseFuzzer(FuseGuest guest, Random random) {
    this.guest = guest;
    this.random = random;
    this.area = guest.driver.allocate(1 << 17);
  }

  void run(int rounds) {
    guest.mount();
    for (int i = 0; i < rounds; i++) {
      if (i % 25 == 0) {
        learn();
      }
      sendOne();
    }
  }

  /** Node ids and handles that are good, for a while at least. */
  private void learn() {
    guest.mount();
    numbers.subList(5, numbers.size()).clear();
    for (String share : new String[] {"v", "ro"}) {
      long root = guest.lookup(FuseGuest.ROOT, share);
      numbers.add(root);
      for (String name : new String[] {"file", "sub", "link", "new"}) {
        FuseGuest.Answer found =
            guest.ask(FuseGuest.LOOKUP, root, FuseGuest.ENTRY, FuseGuest.text(name));
        if (found.error() == 0) {
          numbers.add(found.node());
          FuseGuest.Answer opened = guest.open(found.node(), random.nextInt(4));
          if (opened.error() == 0) {
            numbers.add(opened.handle());
          }
        }
      }
    }
  }

  private void sendOne() {
    int opcode = random.nextInt(55);
    boolean ends = opcode == FuseGuest.INIT || opcode == FuseGuest.DESTROY;
    if (AVOIDED.contains(opcode) || (ends && random.nextInt(10) > 0)) {
      return;
    }
    byte[] arguments = arguments(Opcode.of(opcode));
    byte[] header = guest.header(opcode, number(), arguments.length);
    if (random.nextInt(20) == 0) {
      header[random.nextInt(header.length)] = (byte) random.nextInt();
      int forged = FuseGuest.view(header).getInt(4);
      if (AVOIDED.contains(forged)) {
        return;
      }
    }
    byte[] request = FuseGuest.join(header, arguments);
    int queue = random.nextInt(8) == 0 ? 0 : 1;
    DriverQueue used = guest.driver.queue(queue);
    used.put(area, request);
    used.submit(pieces(request.length));
    guest.driver.awaitTrue("an answer", () -> used.hasUsed() || guest.driver.isBroken());
    if (guest.driver.isBroken()) {
      guest.driver.start();
      learn();
    } else {
      used.take();
    }
  }

  private long number() {
    return random.nextInt(10) == 0
        ? random.nextLong()
        : numbers.get(random.nextInt(numbers.size()));
  }

  /** Words that may be nodes, handles, sizes or offsets, then names. */
  private byte[] arguments(Opcode opcode) {
    boolean proper = opcode != null && random.nextInt(5) > 0;
    byte[] noise = new byte[!proper && random.nextBoolean() ? random.nextInt(200) : 0];
    random.nextBytes(noise);
    byte[] fixed = new byte[proper ? opcode.arguments() : 8 * random.nextInt(12)];
    ByteBuffer view = FuseGuest.view(fixed);
    for (int at = 0; at < fixed.length; at += 8) {
      switch (random.nextInt(4)) {
        case 0, 1 -> view.putLong(at, number());
        case 2 -> view.putInt(at, random.nextInt(5000)).putInt(at + 4, random.nextInt(8));
        default -> view.putInt(at, random.nextInt(8)).putInt(at + 4, random.nextInt());
      }
    }
    return FuseGuest.join(fixed, texts(proper ? opcode.tail() : null), noise);
  }

  private byte[] texts(Opcode.Tail tail) {
    int count =
        switch (tail) {
          case null -> random.nextInt(3);
          case TEXT, TEXT_AND_VALUE -> 1;
          case TWO_TEXTS -> 2;
          case NONE, DATA, ANY -> 0;
        };
    byte[][] texts = new byte[count][];
    for (int i = 0; i < count; i++) {
      texts[i] = FuseGuest.text(name());
    }
    return FuseGuest.join(texts);
  }

  private String name() {
    return NAMES[random.nextInt(NAMES.length)];
  }

  private Buffer[] pieces(int length) {
    List<Buffer> buffers = new ArrayList<>();
    int at = 0;
    while (at < length) {
      int n = Math.min(length - at, 1 + random.nextInt(random.nextBoolean() ? 4096 : 60));
      buffers.add(DriverQueue.readable(area + at, n));
      at += n;
    }
    if (random.nextBoolean()) {
      buffers.add(DriverQueue.writable(area + (1 << 16), 5000));
      return buffers.toArray(Buffer[]::new);
    }
    int writable = random.nextInt(20) == 0 ? 0 : 1 + random.nextInt(3);
    for (int i = 0; i < writable; i++) {
      int size = random.nextInt(random.nextBoolean() ? 5000 : 200);
      // Now and then on the request itself.
      long address = area + (random.nextInt(10) == 0 ? 0 : 1 << 16) + random.nextInt(1 << 14);
      buffers.add(DriverQueue.writable(address, size));
    }
    if (random.nextInt(50) == 0) {
      buffers.add(DriverQueue.writable(random.nextLong(), random.nextInt()));
    }
    return buffers.toArray(Buffer[]::new);
  }
}
