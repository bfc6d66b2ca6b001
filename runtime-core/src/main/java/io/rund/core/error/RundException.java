package io.rund.core.error;

/**
 * The one exception that crosses module boundaries. Its message is written for the person at the
 * other end of containerd: what failed, on what, and what to do about it.
 */
public final class RundException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final ErrorCode code;

  public RundException(ErrorCode code, String message) {
    super(message);
    this.code = code;
  }

  public RundException(ErrorCode code, String message, Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  public ErrorCode code() {
    return code;
  }

  public static RundException notFound(String message) {
    return new RundException(ErrorCode.NOT_FOUND, message);
  }

  public static RundException invalid(String message) {
    return new RundException(ErrorCode.INVALID_ARGUMENT, message);
  }

  public static RundException precondition(String message) {
    return new RundException(ErrorCode.FAILED_PRECONDITION, message);
  }

  public static RundException unavailable(String message, Throwable cause) {
    return new RundException(ErrorCode.UNAVAILABLE, message, cause);
  }

  public static RundException internal(String message, Throwable cause) {
    return new RundException(ErrorCode.INTERNAL, message, cause);
  }
}
