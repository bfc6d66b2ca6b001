// ttrpc, server side, on one connection at a time (containerd/ttrpc PROTOCOL.md): unary calls only.
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "failure.h"

enum { TTRPC_MESSAGE_MAX = 4 << 20 };

// Where an answer goes. The streams of a connection are not those of the next, which has the same
// ids.
struct ttrpc_stream {
    uint32_t connection;
    uint32_t id;
};

// Serves calls that arrive on the socket, which the loop watches from now on. ended is called when
// the connection has ended, with the lock; nothing is left of it then, and another may be served.
// Needs the lock.
void ttrpc_serve(int fd, void (*ended)(void));
// Whether it ends within this time; the loop sees to the rest. Needs the lock.
bool ttrpc_has_ended(int milliseconds);
// Whether the stream's connection is the one that is served. Needs the lock.
bool ttrpc_is_open(struct ttrpc_stream stream);

// Answer the call on a stream; what is for a connection that has ended is dropped. Any thread, with
// or without the lock.
void ttrpc_reply(struct ttrpc_stream stream, const ProtobufCMessage *message);
void ttrpc_fail(struct ttrpc_stream stream, const struct failure *failure);
