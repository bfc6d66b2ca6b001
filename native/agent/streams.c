#define _GNU_SOURCE
#include "streams.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "platform.h"

static const char *const names[3] = {"stdin", "stdout", "stderr"};

static void reset(struct streams *streams) {
    memset(streams, 0, sizeof *streams);
    for (int i = 0; i < 3; i++) {
        streams->host[i] = streams->ours[i] = streams->child[i] = -1;
    }
    streams->master = -1;
    streams->console.listener = -1;
}

static void close_all(int fds[3]) {
    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
            fds[i] = -1;
        }
    }
}

bool streams_connect(struct streams *streams, const Rund__Agent__V1__Stdio *wanted,
                     struct failure *failure) {
    reset(streams);
    if (wanted == NULL) {
        return true;
    }
    streams->terminal = wanted->terminal;
    uint32_t ports[3] = {wanted->stdin_port, wanted->stdout_port, wanted->stderr_port};
    for (int i = 0; i < 3; i++) {
        if (ports[i] == 0 || (streams->terminal && i == 2)) {
            continue;
        }
        streams->host[i] = platform_dial(ports[i]);
        if (streams->host[i] < 0) {
            fail_errno(failure, "connecting %s to port %u of the host", names[i], ports[i]);
            close_all(streams->host);
            return false;
        }
    }
    return true;
}

// A pipe to or from the process, or /dev/null when the host has not asked for the stream.
static bool open_stream(struct streams *streams, int i) {
    if (streams->host[i] < 0) {
        streams->child[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
        return streams->child[i] >= 0;
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    streams->child[i] = ends[i == 0 ? 0 : 1];
    streams->ours[i] = ends[i == 0 ? 1 : 0];
    return true;
}

static bool open_null(struct streams *streams) {
    for (int i = 0; i < 3; i++) {
        streams->child[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
    }
    return streams->child[2] >= 0;
}

bool streams_open(struct streams *streams, struct failure *failure) {
    if (streams->terminal) {
        return (open_null(streams) || fail_errno(failure, "opening /dev/null")) &&
               console_listen(&streams->console, failure);
    }
    for (int i = 0; i < 3; i++) {
        if (!open_stream(streams, i)) {
            return fail_errno(failure, "making a pipe for %s", names[i]);
        }
    }
    return true;
}

static int duplicate(int fd) {
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

bool streams_attach(struct streams *streams, void (*ended)(void *owner), void *owner,
                    struct failure *failure) {
    close_all(streams->child);
    if (streams->terminal) {
        streams->master = console_take(&streams->console, failure);
        console_close(&streams->console);
        if (streams->master < 0) {
            return false;
        }
        // Somebody has to read the terminal, else the process stands still when its buffer is full.
        if (streams->host[1] < 0) {
            streams->host[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
        }
        streams->ours[1] = duplicate(streams->master);
        streams->ours[0] = streams->host[0] >= 0 ? duplicate(streams->master) : -1;
    }
    for (int i = 0; i < 3; i++) {
        if (streams->host[i] < 0) {
            continue;
        }
        int in = i == 0 ? streams->host[0] : streams->ours[i];
        int out = i == 0 ? streams->ours[0] : streams->host[i];
        streams->host[i] = streams->ours[i] = -1;
        streams->relays[i] =
            relay_start(in, out, i == 0 ? RELAY_INPUT : RELAY_OUTPUT, ended, owner);
        if (streams->relays[i] == NULL) {
            return fail_errno(failure, "copying %s", names[i]);
        }
    }
    return true;
}

bool streams_output_ended(const struct streams *streams) {
    for (int i = 1; i < 3; i++) {
        if (streams->relays[i] != NULL && !relay_has_ended(streams->relays[i])) {
            return false;
        }
    }
    return true;
}

void streams_end_when_empty(struct streams *streams) {
    for (int i = 1; i < 3; i++) {
        if (streams->relays[i] != NULL && !relay_has_ended(streams->relays[i])) {
            relay_end_when_empty(streams->relays[i]);
        }
    }
}

void streams_stop_stdin(struct streams *streams) {
    if (streams->relays[0] != NULL && !relay_has_ended(streams->relays[0])) {
        relay_stop(streams->relays[0]);
    }
}

void streams_suspend(struct streams *streams) {
    for (int i = 0; i < 3; i++) {
        if (streams->relays[i] != NULL && !relay_has_ended(streams->relays[i])) {
            relay_suspend(streams->relays[i]);
        }
    }
}

void streams_resume(struct streams *streams, struct streams *connected) {
    for (int i = 0; i < 3; i++) {
        if (streams->relays[i] != NULL && !relay_has_ended(streams->relays[i])) {
            relay_resume(streams->relays[i], connected->host[i]);
            connected->host[i] = -1;
        }
    }
}

bool streams_resize(struct streams *streams, unsigned rows, unsigned columns) {
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    return streams->master >= 0 && ioctl(streams->master, TIOCSWINSZ, &size) == 0;
}

void streams_close(struct streams *streams) {
    for (int i = 0; i < 3; i++) {
        relay_free(streams->relays[i]);
        streams->relays[i] = NULL;
    }
    close_all(streams->host);
    close_all(streams->ours);
    close_all(streams->child);
    console_close(&streams->console);
    if (streams->master >= 0) {
        close(streams->master);
        streams->master = -1;
    }
}
