package io.rund.kvm.snapshot;

import io.rund.core.error.RundException;
import java.util.List;

/**
 * What a snapshot was made of and for: it is of use where all of it is the same. Texts, so that a
 * person can be told what is not.
 */
public record SnapshotIdentity(List<Fact> facts) {
  private static final int MOST_FACTS = 64;
  private static final int LONGEST_NAME = 64;
  private static final int LONGEST_VALUE = 1 << 16;

  /** Longer values are not shown to anybody. */
  private static final int LONGEST_SHOWN = 500;

  /** One thing that has to be the same, such as the CPU. */
  public record Fact(String name, String value) {
    private static void write(Fact fact, SnapshotWriter out) {
      out.text(fact.name);
      out.text(fact.value);
    }

    private static Fact read(SnapshotReader in) {
      return new Fact(in.text("a name", LONGEST_NAME), in.text("a value", LONGEST_VALUE));
    }
  }

  public void write(SnapshotWriter out) {
    out.list(facts, Fact::write);
  }

  public static SnapshotIdentity read(SnapshotReader in) {
    return new SnapshotIdentity(in.list("facts", MOST_FACTS, 2 * Integer.BYTES, Fact::read));
  }

  /**
   * That a snapshot of this identity is of use here.
   *
   * @throws RundException FAILED_PRECONDITION naming the first difference
   */
  public void require(SnapshotIdentity here) {
    for (int i = 0; i < Math.min(facts.size(), here.facts.size()); i++) {
      Fact was = facts.get(i);
      Fact is = here.facts.get(i);
      if (!was.equals(is)) {
        String values =
            was.value.length() + is.value.length() > LONGEST_SHOWN
                ? ""
                : ": \"%s\", and here it is \"%s\"".formatted(was.value, is.value);
        throw RundException.precondition("it was made for another %s%s".formatted(is.name, values));
      }
    }
    if (facts.size() != here.facts.size()) {
      throw RundException.precondition("it was made by another rund");
    }
  }
}
