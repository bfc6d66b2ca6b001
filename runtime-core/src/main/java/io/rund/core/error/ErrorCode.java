package io.rund.core.error;

/**
 * The closed set of ways in which an operation fails, with the gRPC status code that ttrpc carries
 * for each (google.rpc.Code). Names follow containerd's errdefs.
 */
public enum ErrorCode {
  INVALID_ARGUMENT(3),
  DEADLINE_EXCEEDED(4),
  NOT_FOUND(5),
  ALREADY_EXISTS(6),
  RESOURCE_EXHAUSTED(8),
  FAILED_PRECONDITION(9),
  UNIMPLEMENTED(12),
  INTERNAL(13),
  UNAVAILABLE(14);

  private final int grpcCode;

  ErrorCode(int grpcCode) {
    this.grpcCode = grpcCode;
  }

  /** The number on the wire. */
  public int grpcCode() {
    return grpcCode;
  }

  /** The code with this number on the wire; numbers outside the set are {@link #INTERNAL}. */
  public static ErrorCode fromGrpcCode(int grpcCode) {
    for (ErrorCode code : values()) {
      if (code.grpcCode == grpcCode) {
        return code;
      }
    }
    return INTERNAL;
  }
}
