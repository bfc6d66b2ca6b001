#define _GNU_SOURCE
#include "oom.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { FILE_SIZE = 512 };

static void answer(struct oom *oom) {
    Rund__Agent__V1__WaitOomResponse response = RUND__AGENT__V1__WAIT_OOM_RESPONSE__INIT;
    if (oom->waiting && oom->kills > oom->seen) {
        oom->waiting = false;
        response.kills = oom->kills;
        ttrpc_reply(oom->stream, &response.base);
    }
}

static void stop(struct oom *oom) {
    if (oom->fd >= 0) {
        loop_remove(oom->fd);
        close(oom->fd);
        oom->fd = -1;
    }
}

// Reading from the start also tells the kernel that this change has been seen.
static void look(struct oom *oom) {
    char text[FILE_SIZE];
    ssize_t length = oom->fd < 0 ? -1 : pread(oom->fd, text, sizeof text - 1, 0);
    if (length < 0) { // the cgroup has gone
        stop(oom);
        return;
    }
    text[length] = '\0';
    const char *line = strstr(text, "\noom_kill ");
    if (line != NULL) {
        oom->kills = strtoull(line + strlen("\noom_kill "), NULL, 10);
    }
    answer(oom);
}

static void ready(struct source *source, uint32_t events) {
    (void)events;
    look((struct oom *)((char *)source - offsetof(struct oom, source)));
}

void oom_watch(struct container *container) {
    struct oom *oom = &container->oom;
    char path[sizeof container->cgroup + 16];
    snprintf(path, sizeof path, "%s/memory.events", container->cgroup);
    oom->fd = container->cgroup[0] == '\0' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (oom->fd < 0) { // no memory controller: nothing is ever killed here
        return;
    }
    // A file of cgroup v2 that changes is ready with EPOLLPRI until it is read again
    // (Documentation/admin-guide/cgroup-v2.rst).
    oom->source.ready = ready;
    if (!loop_add(oom->fd, EPOLLPRI, &oom->source)) {
        close(oom->fd);
        oom->fd = -1;
        return;
    }
    look(oom);
}

void oom_check(struct container *container) {
    look(&container->oom);
}

bool oom_wait(struct container *container, uint64_t seen, struct ttrpc_stream stream,
              struct failure *failure) {
    struct oom *oom = &container->oom;
    if (oom->waiting) {
        return fail(failure, STATUS_RESOURCE_EXHAUSTED, "a WaitOom for container '%s' is open",
                    container->id);
    }
    oom->waiting = true;
    oom->seen = seen;
    oom->stream = stream;
    answer(oom);
    return true;
}

void oom_end(struct container *container) {
    struct oom *oom = &container->oom;
    stop(oom);
    if (oom->waiting) {
        struct failure failure;
        fail(&failure, STATUS_NOT_FOUND, "container '%s' has been deleted", container->id);
        oom->waiting = false;
        ttrpc_fail(oom->stream, &failure);
    }
}
