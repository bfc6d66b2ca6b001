package io.rund.kvm.boot;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.config.RundConfig;
import java.util.Collections;
import org.junit.jupiter.api.Test;

class CommandLineTest {
  /** Slots of a VM's own devices, of which there are fewer. */
  private static final int FIXED = 8;

  @Test
  void theMostSlotsThatCanBeConfiguredFit() {
    int slots = RundConfig.MAX_SLOTS + FIXED;
    String line = CommandLine.of(Collections.nCopies(slots, 23), true, "");
    assertTrue(line.length() < Layout.COMMAND_LINE_SIZE, () -> line.length() + ": " + line);
  }
}
