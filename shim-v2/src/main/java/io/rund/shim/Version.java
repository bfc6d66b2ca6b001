package io.rund.shim;

/** rund's version, as the build wrote it into the jar. */
public final class Version {
  private static final String IMPLEMENTATION =
      Version.class.getPackage().getImplementationVersion();

  private Version() {}

  public static String current() {
    return IMPLEMENTATION == null ? "unreleased" : IMPLEMENTATION;
  }
}
