// ttrpc, server side, on one connection (containerd/ttrpc PROTOCOL.md): unary calls only.
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "failure.h"

enum { TTRPC_MESSAGE_MAX = 4 << 20 };

// Serves calls that arrive on the socket, which the loop watches from now on. The end of the
// connection is the end of the machine. Needs the lock.
void ttrpc_serve(int fd);

// Answer the call on a stream. Any thread, with or without the lock.
void ttrpc_reply(uint32_t stream, const ProtobufCMessage *message);
void ttrpc_fail(uint32_t stream, const struct failure *failure);
