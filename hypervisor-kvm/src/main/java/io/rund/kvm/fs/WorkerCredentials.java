package io.rund.kvm.fs;

/** Makes a thread one that may call a {@link SharedFileSystem}. */
public final class WorkerCredentials {
  private WorkerCredentials() {}

  /**
   * Opens what all these threads share, so that no request of a guest is the one that does. Any
   * thread may, at any time.
   *
   * @throws io.rund.core.error.RundException if /proc is not there
   */
  public static void prepareEngine() {
    int _ = Worker.proc();
  }

  /**
   * Gives the calling platform thread a umask of its own and lets it act for any user without
   * losing its privileges. To be called first thing on each worker thread; needs root.
   *
   * @throws io.rund.core.error.RundException FAILED_PRECONDITION if the engine may not do this
   */
  public static void prepareThread() {
    Worker.prepare();
  }
}
