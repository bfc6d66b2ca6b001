#define _GNU_SOURCE
#include "process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "files.h"
#include "oom.h"

// A pipe ends when its last writer closes it. For an init that is at its exit, since the container
// dies with it. What an exec leaves behind in the background may hold the pipe for ever: after this
// long, what is in the pipe is the rest.
static const int64_t GRACE_NANOS = 100 * 1000000LL;
// A reader at the host that stands still does not hold the exit status back for longer than this.
static const int64_t STUCK_NANOS = 10 * 1000000000LL;

static int waiter_count;

static void answer(const struct process *process, struct ttrpc_stream stream) {
    Rund__Agent__V1__WaitResponse response = RUND__AGENT__V1__WAIT_RESPONSE__INIT;
    response.exit_status = process->exit_status;
    response.exited_at_nanos = process->exited_at;
    ttrpc_reply(stream, &response.base);
}

static void exits_now(struct process *process, uint32_t status) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    process->exited = true;
    process->exit_status = status;
    process->exited_at = now.tv_sec * 1000000000LL + now.tv_nsec;
}

void process_forget_waiters(struct process *process) {
    while (process->waiters != NULL) {
        struct waiter *waiter = process->waiters;
        process->waiters = waiter->next;
        waiter_count--;
        free(waiter);
    }
}

void process_answer_waiters(struct process *process) {
    if (!process->exited) {
        // Its container is removed before it was reaped: it has been killed with the rest.
        exits_now(process, 128 + SIGKILL);
    }
    for (struct waiter *waiter = process->waiters; waiter != NULL; waiter = waiter->next) {
        answer(process, waiter->stream);
    }
    process_forget_waiters(process);
}

bool process_wait(struct process *process, struct ttrpc_stream stream, struct failure *failure) {
    if (process->drained) {
        answer(process, stream);
        return true;
    }
    struct waiter *waiter = waiter_count < WAITERS_MAX ? malloc(sizeof *waiter) : NULL;
    if (waiter == NULL) {
        return fail(failure, STATUS_RESOURCE_EXHAUSTED, "%d calls of Wait are open", waiter_count);
    }
    waiter->stream = stream;
    waiter->next = process->waiters;
    process->waiters = waiter;
    waiter_count++;
    return true;
}

static void drained(struct process *process) {
    loop_cancel_timer(&process->timer);
    process->drained = true;
    process_answer_waiters(process);
}

void process_stream_ended(void *owner) {
    struct process *process = owner;
    if (process->exited && !process->drained && streams_output_ended(&process->streams)) {
        drained(process);
    }
}

void process_deadline(struct timer *timer) {
    struct process *process = (struct process *)((char *)timer - offsetof(struct process, timer));
    if (!process->draining) {
        process->draining = true;
        streams_end_when_empty(&process->streams);
        if (!process->drained) {
            loop_set_timer(&process->timer, STUCK_NANOS);
        }
    } else {
        streams_close(&process->streams);
        drained(process);
    }
}

// Nothing of a container outlives its init. Where the container has a PID namespace of its own the
// kernel sees to that, but it may share one.
static void kill_rest(const struct container *container) {
    if (container->cgroup[0] != '\0') {
        char path[sizeof container->cgroup + 16];
        snprintf(path, sizeof path, "%s/cgroup.kill", container->cgroup);
        file_write(path, "1"); // fails when the cgroup has gone already
    }
}

static void ended(struct process *process, const struct exit_record *record) {
    process->exited = true;
    process->exit_status = record->status;
    process->exited_at = record->at;
    if (process->state == PROCESS_CREATED || process->state == PROCESS_RUNNING) {
        process->state = PROCESS_STOPPED;
    }
    if (process->exec_id[0] == '\0') {
        kill_rest(process->container);
    }
    oom_check(process->container);
    streams_stop_stdin(&process->streams);
    if (streams_output_ended(&process->streams)) {
        drained(process);
    } else {
        loop_set_timer(&process->timer, GRACE_NANOS);
    }
}

bool process_reaped(pid_t pid, const struct exit_record *record) {
    for (struct container *container = containers(); container != NULL;
         container = container->next) {
        for (struct process *process = container->processes; process != NULL;
             process = process->next) {
            if (process->pid == pid && !process->exited) {
                ended(process, record);
                return true;
            }
        }
    }
    return false;
}

void process_started(struct process *process, pid_t pid) {
    struct exit_record record;
    process->pid = pid;
    if (reaper_claim(pid, &record)) {
        ended(process, &record);
    }
}

void process_failed(struct process *process) {
    streams_close(&process->streams);
    exits_now(process, 255);
    process->state = PROCESS_STOPPED;
    drained(process);
}

void process_drop(struct process *process) {
    if (process->state == PROCESS_CREATING || process->state == PROCESS_STARTING) {
        process->dropped = true;
        return;
    }
    if (process->pid != 0 && !process->exited) {
        kill(process->pid, SIGKILL);
    }
    process_remove(process);
}
