// Copies one direction of one stream, from a descriptor to another, and holds back the writer when
// the reader does not keep up: at most one buffer is under way.
#pragma once

#include <stdbool.h>

#include "loop.h"

struct relay;

// The input of a process comes from the host, its output goes there. Output goes on being read and
// thrown away after the reader is gone, so that the program which writes it neither blocks nor
// dies; others end.
enum relay_use { RELAY_INPUT, RELAY_OUTPUT, RELAY_FORWARD };

// Starts to copy; both descriptors belong to the relay and are made non-blocking. NULL with errno
// and the descriptors closed when it cannot. All need the lock.
struct relay *relay_start(int in, int out, enum relay_use use, void (*ended)(void *owner),
                          void *owner);

bool relay_has_ended(const struct relay *relay);
// From now on an empty input is the end of input.
void relay_end_when_empty(struct relay *relay);
// Closes both descriptors, what is buffered is lost; does not call ended.
void relay_stop(struct relay *relay);
// Of a process, and not ended: closes the host's end and leaves the other alone, with what is
// buffered, until it goes on with a new one. Without one (-1), input ends behind what is buffered
// and output is thrown away.
void relay_suspend(struct relay *relay);
void relay_resume(struct relay *relay, int host);
// Stops and frees it. NULL is fine.
void relay_free(struct relay *relay);
