// What the agent knows of containers and processes. Everything here needs the lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "failure.h"
#include "loop.h"
#include "streams.h"
#include "ttrpc.h"

enum { ID_MAX = 128, CONTAINERS_MAX = 64, PROCESSES_MAX = 1024, WAITERS_MAX = 1024 };

// Who works on a process: while CREATING, STARTING or DELETING it is the thread that brought it
// there, and nobody else may start or delete it.
enum process_state {
    PROCESS_CREATING,
    PROCESS_CREATED,
    PROCESS_STARTING,
    PROCESS_RUNNING,
    PROCESS_STOPPED,
    PROCESS_DELETING,
};

struct waiter {
    struct waiter *next;
    struct ttrpc_stream stream;
};

struct process {
    struct process *next;
    struct container *container;
    char exec_id[ID_MAX + 1]; // empty for the init
    enum process_state state;
    pid_t pid;    // 0 before there is one
    bool exited;  // reaped
    bool drained; // exited, and its output handed over: Wait answers
    uint32_t exit_status;
    int64_t exited_at;
    struct waiter *waiters;
    struct streams streams;
    struct timer timer; // see process.c
    bool draining;
    bool dropped;          // to be removed by the thread that works on it
    struct temporary spec; // process.json of an exec
};

// Who waits for a kill for want of memory; see oom.c.
struct oom {
    struct source source;
    int fd; // memory.events, -1 for none
    uint64_t kills;
    bool waiting;
    uint64_t seen;
    struct ttrpc_stream stream;
};

struct container {
    struct container *next;
    char id[ID_MAX + 1];
    char cgroup[512]; // directory under /sys/fs/cgroup; empty before there is one
    bool mounted;
    char **shares; // names, NULL behind the last; NULL if there are none
    bool hooks;    // the specification has some: crun has to run them
    bool cut_off;  // by a reset of the transport, see adopt.h
    struct oom oom;
    struct process *processes; // the init is the last
};

// /run/rund/ID and, behind it, a name.
struct path {
    char text[ID_MAX + 64];
};
struct path container_path(const char *id, const char *name);

// Ids become names of files: letters, digits, '_', '.', '-', and no '.' in front.
bool id_check(const char *what, const char *id, struct failure *failure);

// Adds a container with an init that is CREATING.
struct process *container_add(const char *id, struct failure *failure);
struct container *container_find(const char *id, struct failure *failure);
void container_remove(struct container *container);

// Adds an exec that is CREATING.
struct process *process_add(struct container *container, const char *exec_id,
                            struct failure *failure);
struct process *process_find(const char *id, const char *exec_id, struct failure *failure);
// Frees it with everything it owns; those who wait for it are answered.
void process_remove(struct process *process);

struct container *containers(void);
struct process *container_init(struct container *container);
