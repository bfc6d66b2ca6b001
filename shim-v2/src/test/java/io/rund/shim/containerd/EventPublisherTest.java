package io.rund.shim.containerd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Empty;
import com.google.protobuf.Timestamp;
import io.rund.core.error.RundException;
import io.rund.core.sandbox.CreateRequest;
import io.rund.core.sandbox.TaskEvent;
import io.rund.core.ttrpc.TtrpcServer;
import io.rund.core.ttrpc.TtrpcService;
import io.rund.shim.wire.events.Envelope;
import io.rund.shim.wire.events.ForwardRequest;
import io.rund.shim.wire.events.TaskCreate;
import io.rund.shim.wire.events.TaskExit;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class EventPublisherTest {
  @TempDir Path directory;
  private Path socket;
  private final BlockingQueue<Envelope> received = new LinkedBlockingQueue<>();

  @BeforeEach
  void name() {
    socket = directory.resolve("containerd.sock.ttrpc");
  }

  private TtrpcServer containerd() {
    return new TtrpcServer(
        socket,
        List.of(
            new TtrpcService("containerd.services.events.ttrpc.v1.Events")
                .method(
                    "Forward",
                    ForwardRequest.parser(),
                    (_, request) -> {
                      received.add(request.getEnvelope());
                      if (request.getEnvelope().getNamespace().equals("refused")) {
                        throw RundException.invalid("namespace");
                      }
                      return Empty.getDefaultInstance();
                    })));
  }

  private static TaskEvent exit(String namespace, String id, String execId, int status) {
    return new TaskEvent.Exited(namespace, id, execId, 42, status, 5_000_000_007L);
  }

  private Envelope next() throws InterruptedException {
    Envelope envelope = received.poll(10, TimeUnit.SECONDS);
    assertTrue(envelope != null, "no event came");
    return envelope;
  }

  @Test
  void aLifeInOrderWithContainerdsTopicsAndTypes() throws Exception {
    CreateRequest request =
        new CreateRequest(
            "default",
            "c",
            Path.of("/bundle"),
            List.of(),
            new CreateRequest.StdioPaths(true, "/in", "/out", ""));
    try (TtrpcServer _ = containerd();
        EventPublisher publisher = new EventPublisher(socket)) {
      publisher.publish(new TaskEvent.Created("default", "c", request, 42));
      publisher.publish(new TaskEvent.Started("default", "c", 42));
      publisher.publish(new TaskEvent.ExecAdded("default", "c", "e"));
      publisher.publish(new TaskEvent.ExecStarted("default", "c", "e", 42));
      publisher.publish(new TaskEvent.Paused("default", "c"));
      publisher.publish(new TaskEvent.Resumed("default", "c"));
      publisher.publish(exit("default", "c", "e", 1));
      publisher.publish(exit("default", "c", "", 137));
      publisher.publish(new TaskEvent.Deleted("default", "c", 42, 137, 5_000_000_007L));
      List<String> topics = new ArrayList<>();
      List<Envelope> envelopes = new ArrayList<>();
      for (int i = 0; i < 9; i++) {
        Envelope envelope = next();
        assertEquals("default", envelope.getNamespace());
        topics.add(envelope.getTopic() + " " + envelope.getEvent().getTypeUrl());
        envelopes.add(envelope);
      }
      assertEquals(
          List.of(
              "/tasks/create containerd.events.TaskCreate",
              "/tasks/start containerd.events.TaskStart",
              "/tasks/exec-added containerd.events.TaskExecAdded",
              "/tasks/exec-started containerd.events.TaskExecStarted",
              "/tasks/paused containerd.events.TaskPaused",
              "/tasks/resumed containerd.events.TaskResumed",
              "/tasks/exit containerd.events.TaskExit",
              "/tasks/exit containerd.events.TaskExit",
              "/tasks/delete containerd.events.TaskDelete"),
          topics);
      assertEquals(
          "/out",
          TaskCreate.parseFrom(envelopes.getFirst().getEvent().getValue()).getIo().getStdout());
      assertEquals("e", TaskExit.parseFrom(envelopes.get(6).getEvent().getValue()).getId());
      TaskExit init = TaskExit.parseFrom(envelopes.get(7).getEvent().getValue());
      assertEquals("c", init.getId());
      assertEquals(137, init.getExitStatus());
      assertEquals(Timestamp.newBuilder().setSeconds(5).setNanos(7).build(), init.getExitedAt());
    }
  }

  @Test
  void eventsWaitForContainerdAndSurviveItsRestart() throws Exception {
    try (EventPublisher publisher = new EventPublisher(socket)) {
      publisher.publish(exit("n", "a", "", 0));
      Thread.sleep(50);
      try (TtrpcServer _ = containerd()) {
        publisher.publish(exit("n", "b", "", 0));
        assertEquals("a", TaskExit.parseFrom(next().getEvent().getValue()).getContainerId());
        assertEquals("b", TaskExit.parseFrom(next().getEvent().getValue()).getContainerId());
        // An event whose answer is lost is sent again; this test is not about that.
        Thread.sleep(100);
      }
      publisher.publish(exit("n", "c", "", 0));
      try (TtrpcServer _ = containerd()) {
        assertEquals("c", TaskExit.parseFrom(next().getEvent().getValue()).getContainerId());
      }
    }
  }

  @Test
  void aRefusedEventDoesNotHoldUpTheNext() throws Exception {
    try (TtrpcServer _ = containerd();
        EventPublisher publisher = new EventPublisher(socket)) {
      publisher.publish(exit("refused", "a", "", 0));
      publisher.publish(exit("n", "b", "", 0));
      assertEquals("refused", next().getNamespace());
      assertEquals("n", next().getNamespace());
    }
  }

  @Test
  void closeDeliversWhatWaits() throws Exception {
    try (TtrpcServer _ = containerd()) {
      try (EventPublisher publisher = new EventPublisher(socket)) {
        for (int i = 0; i < 100; i++) {
          publisher.publish(exit("n", "c" + i, "", 0));
        }
      }
      assertEquals(100, received.size());
    }
  }
}
