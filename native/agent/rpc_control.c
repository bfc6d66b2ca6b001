// Methods that act on a process at once. These run in the loop, with the lock.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>

#include "cgroup.h"
#include "container.h"
#include "oom.h"
#include "process.h"
#include "service.h"

bool rpc_wait(struct call *call) {
    const Rund__Agent__V1__ProcessRef *request = call->request;
    struct process *process = process_find(request->container_id, request->exec_id, &call->failure);
    return process != NULL && process_wait(process, call->stream, &call->failure);
}

bool rpc_wait_oom(struct call *call) {
    const Rund__Agent__V1__WaitOomRequest *request = call->request;
    struct container *container = container_find(request->container_id, &call->failure);
    return container != NULL && oom_wait(container, request->seen, call->stream, &call->failure);
}

static void signal_one(pid_t pid, void *context) {
    kill(pid, *(const int *)context);
}

bool rpc_signal(struct call *call) {
    const Rund__Agent__V1__SignalRequest *request = call->request;
    struct process *process = process_find(request->container_id, request->exec_id, &call->failure);
    if (process == NULL) {
        return false;
    }
    int number = (int)request->signal;
    if (request->signal < 1 || request->signal > (uint32_t)SIGRTMAX) {
        return fail(&call->failure, STATUS_INVALID_ARGUMENT, "there is no signal %u",
                    request->signal);
    }
    if (process->pid == 0 && !process->exited) {
        return fail(&call->failure, STATUS_FAILED_PRECONDITION, "the process has not been started");
    }
    if (request->all) {
        cgroup_processes(process->container->cgroup, signal_one, &number);
        return call_done(call);
    }
    // It has not been reaped, so its pid is still its own.
    if (process->exited || kill(process->pid, number) != 0) {
        return fail(&call->failure, STATUS_NOT_FOUND, "the process has ended");
    }
    return call_done(call);
}

bool rpc_resize_terminal(struct call *call) {
    const Rund__Agent__V1__ResizeTerminalRequest *request = call->request;
    struct process *process = process_find(request->container_id, request->exec_id, &call->failure);
    if (process == NULL) {
        return false;
    }
    if (!streams_resize(&process->streams, request->rows, request->columns)) {
        return fail(&call->failure, STATUS_FAILED_PRECONDITION, "the process has no terminal");
    }
    return call_done(call);
}
