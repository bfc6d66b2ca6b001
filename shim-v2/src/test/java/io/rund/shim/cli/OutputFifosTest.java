package io.rund.shim.cli;

import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class OutputFifosTest {
  /** The threads that copy may not have begun when all is over. */
  @Test
  @Timeout(60)
  void aProgramThatSaysNothingAndEndsAtOnceIsNotWaitedFor()
      throws IOException, InterruptedException {
    for (int i = 0; i < 100; i++) {
      try (OutputFifos output = new OutputFifos()) {
        output.awaitEnd();
      }
    }
  }
}
