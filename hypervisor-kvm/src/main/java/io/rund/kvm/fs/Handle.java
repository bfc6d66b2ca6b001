package io.rund.kvm.fs;

/** What the guest has open. */
abstract sealed class Handle extends Descriptor permits OpenFile, OpenFolder {
  final long id;

  /** Null for the folder of shares. */
  final MountedShare share;

  private final NodeBudget.Part budget;

  Handle(long id, MountedShare share, int fd, NodeBudget.Part budget) {
    super(fd);
    this.id = id;
    this.share = share;
    this.budget = budget;
  }

  @Override
  void closed() {
    budget.give();
  }
}
