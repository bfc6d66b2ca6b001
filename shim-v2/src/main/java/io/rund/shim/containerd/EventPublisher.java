package io.rund.shim.containerd;

import com.google.protobuf.Empty;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.sandbox.EventSink;
import io.rund.core.sandbox.TaskEvent;
import io.rund.core.ttrpc.TtrpcSocket;
import io.rund.shim.wire.events.Envelope;
import io.rund.shim.wire.events.ForwardRequest;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Forwards events to containerd, one after the other, so in the order in which they happened. While
 * containerd is away they wait, at most {@link #CAPACITY} of them and each for {@link #MAX_AGE};
 * then they are dropped and logged, as a containerd that comes back asks for the states itself.
 */
public final class EventPublisher implements EventSink, AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(EventPublisher.class);
  private static final int CAPACITY = 8192;
  private static final Duration MAX_AGE = Duration.ofMinutes(2);
  private static final Duration CALL_TIMEOUT = Duration.ofSeconds(30);
  private static final long MAX_BACKOFF_MILLIS = 1000;
  private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(5);

  private record Entry(Envelope envelope, long nanoTime) {
    /** After which the worker ends. */
    static final Entry END = new Entry(Envelope.getDefaultInstance(), 0);

    boolean isEnd() {
      return envelope.getTopic().isEmpty();
    }
  }

  private final Path containerd;
  private final BlockingQueue<Entry> queue = new ArrayBlockingQueue<>(CAPACITY);
  private final Thread worker;
  private TtrpcSocket connection;

  /** {@code containerd} is the ttrpc socket that containerd told the shim. */
  public EventPublisher(Path containerd) {
    this.containerd = containerd;
    this.worker = Thread.ofVirtual().name("events").start(this::run);
  }

  @Override
  public void publish(TaskEvent event) {
    Envelope envelope = EventWire.envelope(event, System.currentTimeMillis() * 1_000_000L);
    log.info("{}/{}: {}", event.namespace(), event.containerId(), envelope.getTopic());
    if (!queue.offer(new Entry(envelope, System.nanoTime()))) {
      log.error("{} events wait for containerd; dropping {}", CAPACITY, event);
    }
  }

  private void run() {
    try {
      for (Entry entry = queue.take(); !entry.isEnd(); entry = queue.take()) {
        deliver(entry);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      log.warn("{} events were not delivered to containerd", queue.size());
    } finally {
      disconnect();
    }
  }

  private void deliver(Entry entry) throws InterruptedException {
    String topic = entry.envelope.getTopic();
    for (long backoff = 10; ; backoff = Math.min(2 * backoff, MAX_BACKOFF_MILLIS)) {
      try {
        forward(entry.envelope);
        log.debug("published {}", topic);
        return;
      } catch (RundException e) {
        if (e.code() != ErrorCode.UNAVAILABLE && e.code() != ErrorCode.DEADLINE_EXCEEDED) {
          log.error("containerd refuses {}: {}", topic, e.getMessage());
          return;
        }
        disconnect();
        if (System.nanoTime() - entry.nanoTime > MAX_AGE.toNanos()) {
          log.error("dropping {}: {}", topic, e.getMessage());
          return;
        }
        log.debug("containerd did not take {}: {}", topic, e.getMessage());
        Thread.sleep(backoff);
      }
    }
  }

  private void forward(Envelope envelope) {
    if (connection == null) {
      connection = new TtrpcSocket(containerd);
    }
    try {
      var _ =
          connection
              .client()
              .call(
                  "containerd.services.events.ttrpc.v1.Events",
                  "Forward",
                  ForwardRequest.newBuilder().setEnvelope(envelope).build(),
                  Empty.parser(),
                  CALL_TIMEOUT)
              .join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof RundException known
          ? known
          : RundException.internal("cannot forward an event", e);
    }
  }

  private void disconnect() {
    if (connection != null) {
      connection.close();
      connection = null;
    }
  }

  /** Delivers what waits, if containerd takes it within seconds. */
  @Override
  public void close() {
    try {
      if (queue.offer(Entry.END) && worker.join(CLOSE_TIMEOUT)) {
        return;
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    worker.interrupt();
  }
}
