/* What `lab exec` and the lab's agent say to each other, over one TCP connection per command.
 *
 * client: REQUEST, then any of INPUT (empty: end of input), SIGNAL (u32), RESIZE (u16 rows, u16
 * columns) agent:  any of OUTPUT, ERROR, TAKEN (u32: bytes of input the command has taken), then
 * EXIT (u32)
 *
 * A client may have WINDOW bytes of input not yet taken, so that a command which does not read its
 * input never keeps a signal or the end of the connection from being seen. A connection that ends
 * early ends the command. */
#ifndef LAB_FRAME_H
#define LAB_FRAME_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum frame_type { REQUEST = 1, INPUT, SIGNAL, RESIZE, OUTPUT, ERROR, TAKEN, EXIT };

struct frame {
    uint32_t type;
    uint32_t length;
};

/* Head of a REQUEST; then follow, each ended by NUL: token, folder, argument count as text,
 * arguments, environment. */
struct request {
    uint16_t rows;
    uint16_t columns;
    uint32_t terminal;
};

enum { CHUNK = 64 * 1024, WINDOW = 256 * 1024, REQUEST_MAX = 8 * 1024 * 1024, TOKEN_LENGTH = 64 };

/* Reads `PORT TOKEN`: the token proves that a client may read the file, so that no other user of
 * the machine gets in. */
static inline bool read_address(const char *path, int *port, char token[TOKEN_LENGTH + 1]) {
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool read = fscanf(file, "%d %64s", port, token) == 2;
    fclose(file);
    return read;
}

/* Both return false when the peer is gone. */
static inline bool read_full(int fd, void *buffer, size_t length) {
    for (char *p = buffer; length > 0;) {
        ssize_t n = read(fd, p, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        length -= (size_t)n;
    }
    return true;
}

static inline bool write_full(int fd, const void *buffer, size_t length) {
    for (const char *p = buffer; length > 0;) {
        ssize_t n = write(fd, p, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        p += n;
        length -= (size_t)n;
    }
    return true;
}

static inline bool send_frame(int fd, enum frame_type type, const void *data, uint32_t length) {
    struct frame head = {type, length};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)(uintptr_t)data, length}};
    ssize_t n;
    do {
        n = writev(fd, parts, 2);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return false;
    size_t sent = (size_t)n;
    if (sent < sizeof head) {
        if (!write_full(fd, (char *)&head + sent, sizeof head - sent))
            return false;
        sent = sizeof head;
    }
    sent -= sizeof head;
    return write_full(fd, (const char *)data + sent, length - sent);
}

#endif
