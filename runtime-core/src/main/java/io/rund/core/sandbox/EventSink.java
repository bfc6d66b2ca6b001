package io.rund.core.sandbox;

/** Where events go. Called in order, from any thread; must return at once and must not fail. */
public interface EventSink {
  void publish(TaskEvent event);
}
