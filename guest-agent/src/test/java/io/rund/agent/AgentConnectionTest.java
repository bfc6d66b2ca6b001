package io.rund.agent;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import io.rund.agent.wire.Empty;
import io.rund.agent.wire.UpdateRequest;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VsockStream;
import io.rund.core.linux.EventLoop;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class AgentConnectionTest {
  private static final int MEBIBYTE = 1 << 20;

  private final EventLoop loop = new EventLoop("agent-test");
  private final DeafStream stream = new DeafStream();
  private final AgentConnection connection = new AgentConnection(stream);

  @AfterEach
  void tearDown() {
    loop.close();
  }

  /** A guest that takes no bytes. */
  private final class DeafStream implements VsockStream {
    volatile boolean closed;

    @Override
    public void handler(Handler handler) {}

    @Override
    public EventLoop loop() {
      return loop;
    }

    @Override
    public int read(ByteBuffer dst) {
      return 0;
    }

    @Override
    public int write(ByteBuffer src) {
      return 0;
    }

    @Override
    public void shutdownOutput() {}

    @Override
    public void close() {
      closed = true;
    }
  }

  private CompletableFuture<Empty> call(Duration timeout) {
    UpdateRequest request =
        UpdateRequest.newBuilder()
            .setResourcesJson(ByteString.copyFrom(new byte[MEBIBYTE]))
            .build();
    return connection.call("Update", request, Empty.parser(), timeout);
  }

  private static ErrorCode failure(CompletableFuture<Empty> call) {
    ExecutionException e =
        assertThrows(ExecutionException.class, () -> call.get(30, TimeUnit.SECONDS));
    return ((RundException) e.getCause()).code();
  }

  @Test
  void anAgentThatTakesNoRequestsIsGivenUpBeforeTheyFillTheMemory() throws Exception {
    int bearable = AgentConnection.MAX_UNSENT / MEBIBYTE - 1;
    for (int i = 0; i < bearable; i++) {
      assertEquals(ErrorCode.DEADLINE_EXCEEDED, failure(call(Duration.ofMillis(1))));
    }
    assertFalse(stream.closed);
    CompletableFuture<Empty> one = call(Duration.ZERO);
    CompletableFuture<Empty> tooMany = call(Duration.ZERO);
    assertEquals(ErrorCode.UNAVAILABLE, failure(one));
    assertEquals(ErrorCode.UNAVAILABLE, failure(tooMany));
    connection.whenClosed().get(30, TimeUnit.SECONDS);
    assertTrue(stream.closed);
  }
}
