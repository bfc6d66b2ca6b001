package io.rund.kvm.fs;

/** Makes a thread one that may call a {@link SharedFileSystem}. */
public final class WorkerCredentials {
  private WorkerCredentials() {}

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
