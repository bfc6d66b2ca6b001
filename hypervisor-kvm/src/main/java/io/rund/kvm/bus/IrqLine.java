package io.rund.kvm.bus;

/**
 * One interrupt pin of the guest, edge-triggered, perhaps shared by several devices. Safe to call
 * from any thread; never blocks.
 */
public interface IrqLine {
  /** Sends one edge. Edges that come before the guest has taken the last one are merged. */
  void raise();

  /** The pin's number: GSI, IOAPIC pin and Linux IRQ are the same here. */
  int gsi();
}
