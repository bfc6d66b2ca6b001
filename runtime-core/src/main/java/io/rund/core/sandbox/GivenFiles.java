package io.rund.core.sandbox;

import java.util.List;

/**
 * What a VM has got for one container.
 *
 * @param shares names of shares; some may not be there
 * @param slots of disks
 */
record GivenFiles(List<String> shares, List<Integer> slots) {
  /** Takes it back when the container is no more in the guest. Never fails. */
  void takeBack(Sandbox sandbox) {
    for (int slot : slots) {
      quietly(slot, () -> sandbox.agent().unbindSlot(slot));
      // A guest that goes on to use the device only loses it.
      quietly(slot, () -> sandbox.vm().unplug(slot));
    }
    shares.forEach(sandbox.shares()::giveBack);
  }

  private static void quietly(int slot, Runnable action) {
    try {
      action.run();
    } catch (RuntimeException e) {
      Sandbox.log.debug("the disk in slot {} went with its VM: {}", slot, e.getMessage());
    }
  }
}
