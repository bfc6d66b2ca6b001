// The life of a process: CreateExec, Start, Delete. These run on threads of their own.
#define _GNU_SOURCE
#include <unistd.h>

#include "bundle.h"
#include "container.h"
#include "crun.h"
#include "executor.h"
#include "files.h"
#include "process.h"
#include "service.h"
#include "shortcut.h"

static struct process *add_exec(const Rund__Agent__V1__CreateExecRequest *request,
                                struct failure *failure) {
    struct container *container = container_find(request->container_id, failure);
    if (container == NULL) {
        return NULL;
    }
    if (container_init(container)->state != PROCESS_RUNNING) {
        fail(failure, STATUS_FAILED_PRECONDITION, "container '%s' is not running", container->id);
        return NULL;
    }
    return process_add(container, request->exec_id, failure);
}

bool rpc_create_exec(struct call *call) {
    const Rund__Agent__V1__CreateExecRequest *request = call->request;
    agent_lock();
    struct process *process = add_exec(request, &call->failure);
    agent_unlock();
    if (process == NULL) {
        return false;
    }
    process->spec = temporary_path();
    bool done =
        streams_connect(&process->streams, request->stdio, &call->failure) &&
        (file_create(process->spec.path, request->process_json.data, request->process_json.len) ||
         fail_errno(&call->failure, "writing %s", process->spec.path));
    agent_lock();
    if (done && !process->dropped) {
        process->state = PROCESS_CREATED;
    } else {
        process_remove(process);
    }
    agent_unlock();
    return done && call_done(call);
}

static struct process *begin_start(const Rund__Agent__V1__ProcessRef *request,
                                   struct failure *failure) {
    struct process *process = process_find(request->container_id, request->exec_id, failure);
    if (process == NULL) {
        return NULL;
    }
    if (process->state != PROCESS_CREATED) {
        fail(failure, STATUS_FAILED_PRECONDITION, "%s of container '%s' cannot be started%s",
             process->exec_id[0] ? process->exec_id : "init", request->container_id,
             process->state == PROCESS_STOPPED ? ": it has ended" : " twice");
        return NULL;
    }
    struct process *init = container_init(process->container);
    if (process != init && init->state != PROCESS_RUNNING) {
        fail(failure, STATUS_FAILED_PRECONDITION, "container '%s' is not running",
             request->container_id);
        return NULL;
    }
    process->state = PROCESS_STARTING;
    return process;
}

static bool start_init(struct process *init, pid_t *pid, struct failure *failure) {
    *pid = init->pid;
    const char *const arguments[] = {"start", init->container->id, NULL};
    bool done = (!init->container->hooks && shortcut_start(init->container->id)) ||
                crun(arguments, NULL, failure);
    agent_lock();
    init->state = init->exited ? PROCESS_STOPPED : done ? PROCESS_RUNNING : PROCESS_CREATED;
    agent_unlock();
    return done;
}

static bool start_exec(struct process *process, pid_t *pid, struct failure *failure) {
    const char *const rest[] = {"--detach", "--process", process->spec.path, process->container->id,
                                NULL};
    bool done = executor_run(process, "exec", rest, PROCESS_RUNNING, pid, failure);
    if (!done) {
        agent_lock();
        process_failed(process);
        if (process->dropped) {
            process_remove(process);
        }
        agent_unlock();
    }
    return done;
}

bool rpc_start(struct call *call) {
    const Rund__Agent__V1__ProcessRef *request = call->request;
    agent_lock();
    struct process *process = begin_start(request, &call->failure);
    agent_unlock();
    pid_t pid;
    if (process == NULL ||
        !(process->exec_id[0] ? start_exec : start_init)(process, &pid, &call->failure)) {
        return false;
    }
    Rund__Agent__V1__StartResponse response = RUND__AGENT__V1__START_RESPONSE__INIT;
    response.pid = (uint32_t)pid;
    call_reply(call, &response.base);
    return true;
}

// A thread is at work on it.
static bool is_busy(const struct process *process) {
    return process->state == PROCESS_CREATING || process->state == PROCESS_STARTING ||
           process->state == PROCESS_DELETING;
}

static struct process *begin_delete(const Rund__Agent__V1__ProcessRef *request,
                                    struct failure *failure) {
    struct process *process = process_find(request->container_id, request->exec_id, failure);
    if (process == NULL) {
        return NULL;
    }
    bool is_init = process->exec_id[0] == '\0';
    bool stopped =
        process->state == PROCESS_STOPPED || (!is_init && process->state == PROCESS_CREATED);
    for (struct process *other = process->container->processes; is_init && other != NULL;
         other = other->next) {
        stopped = stopped && !is_busy(other);
    }
    if (!stopped) {
        fail(failure, STATUS_FAILED_PRECONDITION, "%s of container '%s' is still running",
             is_init ? "the init" : request->exec_id, request->container_id);
        return NULL;
    }
    process->state = PROCESS_DELETING;
    return process;
}

bool rpc_delete(struct call *call) {
    const Rund__Agent__V1__ProcessRef *request = call->request;
    agent_lock();
    struct process *process = begin_delete(request, &call->failure);
    if (process != NULL && process->exec_id[0] != '\0') {
        process_remove(process);
    }
    agent_unlock();
    if (process == NULL) {
        return false;
    }
    if (request->exec_id[0] != '\0') {
        return call_done(call);
    }
    struct container *container = process->container;
    const char *const arguments[] = {"delete", "--force", container->id, NULL};
    struct failure ignored; // what crun cannot clean up must not keep the disk mounted
    if (container->hooks || !shortcut_delete(container->id, container->cgroup)) {
        crun(arguments, NULL, &ignored);
    }
    bundle_remove(container);
    agent_lock();
    container_remove(container);
    agent_unlock();
    return call_done(call);
}
