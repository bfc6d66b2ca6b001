#define _GNU_SOURCE
#include "container.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oom.h"
#include "process.h"

static struct container *first;
static int container_count;
static int process_count;

struct path container_path(const char *id, const char *name) {
    struct path path;
    snprintf(path.text, sizeof path.text, "/run/rund/%s%s%s", id, name[0] ? "/" : "", name);
    return path;
}

bool id_check(const char *what, const char *id, struct failure *failure) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t length = strlen(id);
    if (length == 0 || length > ID_MAX || id[0] == '.' || strspn(id, allowed) != length) {
        return fail(failure, STATUS_INVALID_ARGUMENT,
                    "%s '%.128s': 1 to %d letters, digits, '_', '.' or '-', no '.' in front", what,
                    id, ID_MAX);
    }
    return true;
}

struct container *containers(void) {
    return first;
}

struct process *container_init(struct container *container) {
    struct process *process = container->processes;
    while (process->exec_id[0] != '\0') {
        process = process->next;
    }
    return process;
}

static struct process *process_new(struct container *container, const char *exec_id,
                                   struct failure *failure) {
    if (process_count >= PROCESSES_MAX) {
        fail(failure, STATUS_RESOURCE_EXHAUSTED, "the sandbox has %d processes already",
             process_count);
        return NULL;
    }
    struct process *process = calloc(1, sizeof *process);
    if (process == NULL) {
        fail(failure, STATUS_RESOURCE_EXHAUSTED, "no memory for a process");
        return NULL;
    }
    memcpy(process->exec_id, exec_id, strlen(exec_id));
    process->container = container;
    process->state = PROCESS_CREATING;
    process->timer.fire = process_deadline;
    struct failure none;
    streams_connect(&process->streams, NULL, &none);
    process->next = container->processes;
    container->processes = process;
    process_count++;
    return process;
}

static struct container *look_up(const char *id) {
    for (struct container *container = first; container != NULL; container = container->next) {
        if (strcmp(container->id, id) == 0) {
            return container;
        }
    }
    return NULL;
}

struct container *container_find(const char *id, struct failure *failure) {
    struct container *container = look_up(id);
    if (container == NULL) {
        fail(failure, STATUS_NOT_FOUND, "container '%.128s' is not in this sandbox", id);
    }
    return container;
}

struct process *container_add(const char *id, struct failure *failure) {
    if (!id_check("container id", id, failure)) {
        return NULL;
    }
    if (look_up(id) != NULL) {
        fail(failure, STATUS_ALREADY_EXISTS, "container '%s' exists already", id);
        return NULL;
    }
    if (container_count >= CONTAINERS_MAX) {
        fail(failure, STATUS_RESOURCE_EXHAUSTED, "the sandbox has %d containers already",
             container_count);
        return NULL;
    }
    struct container *container = calloc(1, sizeof *container);
    if (container == NULL) {
        fail(failure, STATUS_RESOURCE_EXHAUSTED, "no memory for a container");
        return NULL;
    }
    memcpy(container->id, id, strlen(id));
    container->oom.fd = -1;
    struct process *init = process_new(container, "", failure);
    if (init == NULL) {
        free(container);
        return NULL;
    }
    container->next = first;
    first = container;
    container_count++;
    return init;
}

void container_remove(struct container *container) {
    oom_end(container);
    while (container->processes != NULL) {
        process_remove(container->processes);
    }
    struct container **link = &first;
    while (*link != container) {
        link = &(*link)->next;
    }
    *link = container->next;
    container_count--;
    for (char **name = container->shares; name != NULL && *name != NULL; name++) {
        free(*name);
    }
    free(container->shares);
    free(container);
}

static struct process *look_up_process(struct container *container, const char *exec_id) {
    for (struct process *process = container->processes; process != NULL; process = process->next) {
        if (strcmp(process->exec_id, exec_id) == 0) {
            return process;
        }
    }
    return NULL;
}

struct process *process_add(struct container *container, const char *exec_id,
                            struct failure *failure) {
    if (!id_check("exec id", exec_id, failure)) {
        return NULL;
    }
    if (look_up_process(container, exec_id) != NULL) {
        fail(failure, STATUS_ALREADY_EXISTS, "exec '%s' of container '%s' exists already", exec_id,
             container->id);
        return NULL;
    }
    return process_new(container, exec_id, failure);
}

struct process *process_find(const char *id, const char *exec_id, struct failure *failure) {
    struct container *container = container_find(id, failure);
    if (container == NULL) {
        return NULL;
    }
    struct process *process = look_up_process(container, exec_id);
    if (process == NULL) {
        fail(failure, STATUS_NOT_FOUND, "exec '%.128s' is not in container '%s'", exec_id, id);
    }
    return process;
}

void process_remove(struct process *process) {
    loop_cancel_timer(&process->timer);
    streams_close(&process->streams);
    process_answer_waiters(process);
    if (process->spec.path[0] != '\0') {
        unlink(process->spec.path);
    }
    struct process **link = &process->container->processes;
    while (*link != process) {
        link = &(*link)->next;
    }
    *link = process->next;
    process_count--;
    free(process);
}
