package io.rund.kvm.fs;

/** An open regular file. */
final class OpenFile extends Handle {
  /** For what is remembered of the file; its descriptor may be closed. */
  final Node node;

  /** Whether the host's page cache is gone around. */
  final boolean direct;

  OpenFile(long id, Node node, int fd, boolean direct, NodeBudget.Part budget) {
    super(id, node.share, fd, budget);
    this.node = node;
    this.direct = direct;
  }
}
