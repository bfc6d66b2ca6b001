#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ttrpc.h"

enum { BUFFER_SIZE = 64 << 10, STEPS = 8, LAST_STEPS = 128, RESET_MS = 1000 };

struct relay {
    struct source source;
    int in;
    int out;
    int watched; // in while waiting for input, out while waiting for room, -1 for neither
    enum relay_use use;
    bool suspended;
    bool end_when_empty;
    void (*ended)(void *owner);
    void *owner;
    size_t start, end;        // what of the buffer is still to be written
    char buffer[BUFFER_SIZE]; // costs memory only once bytes have been in it
};

static void watch(struct relay *relay, int fd) {
    if (relay->watched == fd) {
        return;
    }
    if (relay->watched >= 0) {
        loop_remove(relay->watched);
    }
    relay->watched = fd;
    if (fd >= 0 && !loop_add(fd, fd == relay->in ? EPOLLIN : EPOLLOUT, &relay->source)) {
        relay->watched = -1;
    }
}

static void close_out(struct relay *relay) {
    if (relay->out >= 0) {
        shutdown(relay->out, SHUT_WR); // no effect on what is no socket
        close(relay->out);
        relay->out = -1;
    }
}

void relay_stop(struct relay *relay) {
    relay->suspended = false;
    watch(relay, -1);
    if (relay->in >= 0) {
        close(relay->in);
        relay->in = -1;
    }
    close_out(relay);
}

static void end(struct relay *relay) {
    relay_stop(relay);
    relay->ended(relay->owner);
}

// The connection of a process's stream has ended: by a reset of the transport, if the control
// connection has, too. A reset ends them one after the other, so that may be still to come, unless
// this end is an orderly one.
static bool suspended_by_reset(struct relay *relay, bool orderly) {
    if (!ttrpc_has_ended(orderly ? 0 : RESET_MS)) {
        return false;
    }
    relay_suspend(relay);
    return true;
}

// Moves on by one read or one write. False when there is nothing to do until the loop calls, or
// ever.
static bool step(struct relay *relay) {
    if (relay->start == relay->end) {
        ssize_t n = read(relay->in, relay->buffer, sizeof relay->buffer);
        if (n < 0 && errno == EINTR) {
            return true;
        }
        if (n < 0 && errno == EAGAIN && !relay->end_when_empty) {
            watch(relay, relay->in);
            return false;
        }
        if (n <= 0) { // EIO is how a terminal says that its other end is closed
            if (relay->use != RELAY_INPUT || relay->in < 0 || !suspended_by_reset(relay, n == 0)) {
                end(relay);
            }
            return false;
        }
        relay->start = 0;
        relay->end = (size_t)n;
    }
    ssize_t n = (ssize_t)(relay->end - relay->start);
    if (relay->out >= 0) {
        n = write(relay->out, relay->buffer + relay->start, (size_t)n);
    }
    if (n < 0 && errno == EINTR) {
        return true;
    }
    if (n < 0 && errno == EAGAIN) {
        watch(relay, relay->out);
        return false;
    }
    if (n < 0 && relay->use != RELAY_OUTPUT) {
        end(relay);
        return false;
    }
    if (n < 0 && suspended_by_reset(relay, errno == EPIPE)) {
        return false;
    }
    if (n < 0) {
        watch(relay, relay->in);
        close_out(relay);
        return true;
    }
    relay->start += (size_t)n;
    return true;
}

static void pump(struct source *source, uint32_t events) {
    (void)events;
    struct relay *relay = (struct relay *)source;
    int steps = relay->end_when_empty ? LAST_STEPS : STEPS;
    for (int i = 0; i < steps; i++) {
        if (!step(relay)) {
            return;
        }
    }
    if (relay->end_when_empty) {
        end(relay); // somebody goes on writing for ever
        return;
    }
    // Others first; the loop comes back.
    watch(relay, relay->start == relay->end || relay->out < 0 ? relay->in : relay->out);
}

static bool unblock(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

struct relay *relay_start(int in, int out, enum relay_use use, void (*ended)(void *owner),
                          void *owner) {
    struct relay *relay = malloc(sizeof *relay);
    if (relay == NULL) {
        close(in);
        close(out);
        errno = ENOMEM;
        return NULL;
    }
    relay->source.ready = pump;
    relay->in = in;
    relay->out = out;
    relay->watched = -1;
    relay->use = use;
    relay->suspended = false;
    relay->end_when_empty = false;
    relay->ended = ended;
    relay->owner = owner;
    relay->start = relay->end = 0;
    bool ready = unblock(in) && unblock(out);
    if (ready) {
        watch(relay, in);
    }
    if (relay->watched != in) {
        int error = errno;
        relay_free(relay);
        errno = error;
        return NULL;
    }
    return relay;
}

bool relay_has_ended(const struct relay *relay) {
    return relay->in < 0 && !relay->suspended;
}

void relay_end_when_empty(struct relay *relay) {
    relay->end_when_empty = true;
    if (relay->watched == relay->in && relay->in >= 0) {
        pump(&relay->source, EPOLLIN);
    }
}

void relay_suspend(struct relay *relay) {
    int *host = relay->use == RELAY_INPUT ? &relay->in : &relay->out;
    watch(relay, -1);
    if (*host >= 0) {
        close(*host);
        *host = -1;
    }
    relay->suspended = true;
}

void relay_resume(struct relay *relay, int host) {
    relay->suspended = false;
    if (host >= 0) {
        unblock(host);
    }
    if (relay->use == RELAY_OUTPUT) {
        relay->out = host;
    } else {
        relay->in = host;
        relay->end_when_empty = host < 0;
    }
    pump(&relay->source, 0);
}

void relay_free(struct relay *relay) {
    if (relay != NULL) {
        relay_stop(relay);
        free(relay);
    }
}
