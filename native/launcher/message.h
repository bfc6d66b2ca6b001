// The little of protocol buffers' encoding (protobuf.dev/programming-guides/encoding) that the
// launcher speaks.
#ifndef RUND_MESSAGE_H
#define RUND_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A message being written. What does not fit ends the program: every message here has a known
// bound.
struct message {
    size_t length;
    uint8_t bytes[16384];
};

void put_varint(struct message *message, uint32_t field, uint64_t value);
void put_bytes(struct message *message, uint32_t field, const void *bytes, size_t length);
void put_string(struct message *message, uint32_t field, const char *text);

// A stretch of an encoded message.
struct bytes {
    const uint8_t *start;
    size_t length;
};

// Finds the last occurrence of a field, as the encoding demands. False when it is absent.
// `malformed` is set when the message cannot be read to its end.
bool find_bytes(struct bytes message, uint32_t field, struct bytes *value, bool *malformed);
bool find_varint(struct bytes message, uint32_t field, uint64_t *value, bool *malformed);

#endif
