package io.rund.kvm.fs;

/** What the guest has open. */
abstract sealed class Handle extends Descriptor permits OpenFile, OpenFolder, LostHandle {
  final long id;

  /** What was opened; its own descriptor may be closed. Null for the folder of shares. */
  final Node node;

  private final NodeBudget.Part budget;

  Handle(long id, Node node, int fd, NodeBudget.Part budget) {
    super(fd);
    this.id = id;
    this.node = node;
    this.budget = budget;
  }

  /** Null for the folder of shares. */
  final MountedShare share() {
    return node == null ? null : node.share;
  }

  @Override
  void closed() {
    budget.give();
  }
}
