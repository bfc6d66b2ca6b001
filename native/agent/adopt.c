#define _GNU_SOURCE
#include "adopt.h"

#include "container.h"
#include "process.h"
#include "service.h"

static void drop_execs(struct process *process) {
    while (process->exec_id[0] != '\0') { // the init is the last
        struct process *next = process->next;
        process_drop(process);
        process = next;
    }
}

void adopt_cut_off(void) {
    for (struct container *container = containers(); container != NULL;
         container = container->next) {
        struct process *init = container_init(container);
        drop_execs(container->processes);
        process_forget_waiters(init);
        streams_suspend(&init->streams);
        container->oom.waiting = false;
        container->cut_off = init->state != PROCESS_CREATING;
        init->dropped = !container->cut_off; // nobody knows of it
    }
}

static struct process *find(struct call *call, const Rund__Agent__V1__AdoptRequest *request) {
    struct container *container = container_find(request->container_id, &call->failure);
    if (container == NULL) {
        return NULL;
    }
    if (!container->cut_off || !ttrpc_is_open(call->stream)) {
        fail(&call->failure, STATUS_FAILED_PRECONDITION,
             "the streams of container '%s' have not been cut off", container->id);
        return NULL;
    }
    struct process *init = container_init(container);
    if (init->streams.terminal != (request->stdio != NULL && request->stdio->terminal)) {
        fail(&call->failure, STATUS_INVALID_ARGUMENT, "container '%s' has %s terminal",
             container->id, init->streams.terminal ? "a" : "no");
        return NULL;
    }
    return init;
}

bool rpc_adopt(struct call *call) {
    const Rund__Agent__V1__AdoptRequest *request = call->request;
    struct streams connected;
    agent_lock();
    bool ready = find(call, request) != NULL;
    agent_unlock();
    if (!ready || !streams_connect(&connected, request->stdio, &call->failure)) {
        return false;
    }
    agent_lock();
    struct process *init = find(call, request); // others were not kept from it meanwhile
    if (init != NULL) {
        init->container->cut_off = false;
        streams_resume(&init->streams, &connected);
    }
    streams_close(&connected);
    agent_unlock();
    return init != NULL && call_done(call);
}
