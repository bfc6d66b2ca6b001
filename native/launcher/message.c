#include "message.h"

#include <string.h>

#include "failure.h"

enum wire_type { VARINT = 0, FIXED64 = 1, LENGTH_DELIMITED = 2, FIXED32 = 5 };

static void put_byte(struct message *message, uint8_t byte) {
    if (message->length == sizeof message->bytes) {
        fail("a message is longer than %zu bytes", sizeof message->bytes);
    }
    message->bytes[message->length++] = byte;
}

static void put_number(struct message *message, uint64_t value) {
    while (value >= 0x80) {
        put_byte(message, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    put_byte(message, (uint8_t)value);
}

void put_varint(struct message *message, uint32_t field, uint64_t value) {
    put_number(message, (uint64_t)field << 3 | VARINT);
    put_number(message, value);
}

void put_bytes(struct message *message, uint32_t field, const void *bytes, size_t length) {
    put_number(message, (uint64_t)field << 3 | LENGTH_DELIMITED);
    put_number(message, length);
    for (size_t i = 0; i < length; i++) {
        put_byte(message, ((const uint8_t *)bytes)[i]);
    }
}

void put_string(struct message *message, uint32_t field, const char *text) {
    put_bytes(message, field, text, strlen(text));
}

static bool take_number(struct bytes *rest, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 64 && rest->length > 0; shift += 7) {
        uint8_t byte = *rest->start++;
        rest->length--;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

static bool take_stretch(struct bytes *rest, uint64_t length, struct bytes *stretch) {
    if (length > rest->length) {
        return false;
    }
    *stretch = (struct bytes){rest->start, (size_t)length};
    rest->start += length;
    rest->length -= (size_t)length;
    return true;
}

static bool take_value(struct bytes *rest, enum wire_type type, uint64_t *number,
                       struct bytes *stretch) {
    switch (type) {
    case VARINT:
        return take_number(rest, number);
    case FIXED64:
        return take_stretch(rest, 8, stretch);
    case LENGTH_DELIMITED:
        return take_number(rest, number) && take_stretch(rest, *number, stretch);
    case FIXED32:
        return take_stretch(rest, 4, stretch);
    }
    return false;
}

static bool find(struct bytes message, uint32_t field, enum wire_type type, uint64_t *number,
                 struct bytes *stretch, bool *malformed) {
    bool found = false;
    while (message.length > 0) {
        uint64_t key;
        uint64_t value = 0;
        struct bytes part = {NULL, 0};
        if (!take_number(&message, &key) || !take_value(&message, key & 7, &value, &part)) {
            *malformed = true;
            return false;
        }
        if (key == ((uint64_t)field << 3 | type)) {
            found = true;
            *number = value;
            *stretch = part;
        }
    }
    return found;
}

bool find_bytes(struct bytes message, uint32_t field, struct bytes *value, bool *malformed) {
    uint64_t length;
    return find(message, field, LENGTH_DELIMITED, &length, value, malformed);
}

bool find_varint(struct bytes message, uint32_t field, uint64_t *value, bool *malformed) {
    struct bytes unused;
    return find(message, field, VARINT, value, &unused, malformed);
}
