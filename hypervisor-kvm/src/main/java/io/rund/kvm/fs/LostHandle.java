package io.rund.kvm.fs;

/** What the guest had open and could not be opened again: good for nothing but its release. */
final class LostHandle extends Handle {
  LostHandle(long id, NodeBudget.Part budget) {
    super(id, null, -1, budget);
  }
}
