package io.rund.shim.cli;

/**
 * One thing that has to be right on a host.
 *
 * @param detail what was found
 * @param remedy how to mend it; empty if it is right
 */
record Check(String name, boolean ok, String detail, String remedy) {
  static Check ok(String name, String detail) {
    return new Check(name, true, detail, "");
  }

  static Check failed(String name, String detail, String remedy) {
    return new Check(name, false, detail, remedy);
  }
}
