package io.rund.kvm.virtio.vsock;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** A guest whose connections to one port of the host are accepted. */
abstract class VsockTest {
  static final int REQUEST = 1;
  static final int RESPONSE = 2;
  static final int RST = 3;
  static final int SHUTDOWN = 4;
  static final int RW = 5;
  static final int CREDIT_UPDATE = 6;
  static final int CREDIT_REQUEST = 7;

  static final int PORT = 1024;
  static final int GUEST_PORT = 5000;
  static final int CAPACITY = 128 * 1024;

  VsockGuest guest;
  TestStream host;

  @BeforeEach
  void setUp() {
    guest = new VsockGuest();
    host = new TestStream(guest.driver);
    guest.device.listen(PORT, Integer.MAX_VALUE, host);
  }

  @AfterEach
  void tearDown() {
    guest.close();
  }

  void connect() {
    guest.post(200);
    guest.send(GUEST_PORT, PORT, REQUEST);
    assertEquals(CAPACITY, guest.expect(GUEST_PORT, PORT, RESPONSE).bufferSize());
  }

  void sendData(String text) {
    guest.send(GUEST_PORT, PORT, RW, 0, text.getBytes(US_ASCII));
  }

  static byte[] random(int length) {
    byte[] bytes = new byte[length];
    new Random(length).nextBytes(bytes);
    return bytes;
  }
}
