// Methods about a container as a whole.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "cgroup.h"
#include "container.h"
#include "crun.h"
#include "executor.h"
#include "files.h"
#include "json.h"
#include "service.h"

static bool create(struct process *init, const Rund__Agent__V1__CreateContainerRequest *request,
                   pid_t *pid, struct failure *failure) {
    const char *id = request->container_id;
    struct path bundle = container_path(id, "");
    const char *const rest[] = {"--bundle", bundle.text, id, NULL};
    init->container->hooks =
        json_has((const char *)request->spec_json.data, request->spec_json.len, "hooks");
    if (!streams_connect(&init->streams, request->stdio, failure) ||
        !bundle_create(request, init->container, failure)) {
        return false;
    }
    if (executor_run(init, "create", rest, PROCESS_CREATED, pid, failure)) {
        return true;
    }
    const char *const undo[] = {"delete", "--force", id, NULL};
    struct failure ignored; // it may have made nothing
    crun(undo, NULL, &ignored);
    bundle_remove(init->container);
    return false;
}

bool rpc_create_container(struct call *call) {
    const Rund__Agent__V1__CreateContainerRequest *request = call->request;
    agent_lock();
    struct process *init = container_add(request->container_id, &call->failure);
    agent_unlock();
    if (init == NULL) {
        return false;
    }
    Rund__Agent__V1__CreateContainerResponse response =
        RUND__AGENT__V1__CREATE_CONTAINER_RESPONSE__INIT;
    pid_t pid = 0;
    if (!create(init, request, &pid, &call->failure)) {
        agent_lock();
        container_remove(init->container);
        agent_unlock();
        return false;
    }
    response.pid = (uint32_t)pid;
    call_reply(call, &response.base);
    return true;
}

static bool crun_with_id(struct call *call, const char *command) {
    const Rund__Agent__V1__ContainerRef *request = call->request;
    agent_lock();
    struct container *container = container_find(request->container_id, &call->failure);
    bool ready = container != NULL && (container_init(container)->state == PROCESS_RUNNING ||
                                       fail(&call->failure, STATUS_FAILED_PRECONDITION,
                                            "container '%s' is not running", container->id));
    agent_unlock();
    const char *const arguments[] = {command, request->container_id, NULL};
    return ready && crun(arguments, NULL, &call->failure) && call_done(call);
}

bool rpc_pause(struct call *call) {
    return crun_with_id(call, "pause");
}

bool rpc_resume(struct call *call) {
    return crun_with_id(call, "resume");
}

bool rpc_update(struct call *call) {
    const Rund__Agent__V1__UpdateRequest *request = call->request;
    agent_lock();
    struct container *container = container_find(request->container_id, &call->failure);
    enum process_state state = container != NULL ? container_init(container)->state : 0;
    bool ready =
        container != NULL && (state == PROCESS_RUNNING || state == PROCESS_CREATED ||
                              fail(&call->failure, STATUS_FAILED_PRECONDITION,
                                   "container '%s' has no process to limit", container->id));
    agent_unlock();
    struct temporary file = temporary_path();
    if (!ready) {
        return false;
    }
    if (!file_create(file.path, request->resources_json.data, request->resources_json.len)) {
        return fail_errno(&call->failure, "writing %s", file.path);
    }
    const char *const arguments[] = {"update", "--resources", file.path, request->container_id,
                                     NULL};
    bool done = crun(arguments, NULL, &call->failure);
    unlink(file.path);
    return done && call_done(call);
}

bool rpc_stats(struct call *call) {
    Rund__Agent__V1__StatsResponse response = RUND__AGENT__V1__STATS_RESPONSE__INIT;
    const Rund__Agent__V1__ContainerRef *request = call->request;
    char directory[sizeof((struct container *)0)->cgroup];
    agent_lock();
    struct container *container = container_find(request->container_id, &call->failure);
    if (container != NULL) {
        memcpy(directory, container->cgroup, sizeof directory);
    }
    agent_unlock();
    if (container == NULL) {
        return false;
    }
    if (directory[0] == '\0' || access(directory, F_OK) != 0) {
        return fail(&call->failure, STATUS_FAILED_PRECONDITION,
                    "container '%s' has no cgroup (any more)", request->container_id);
    }
    cgroup_stats(directory, &response);
    call_reply(call, &response.base);
    cgroup_stats_free(&response);
    return true;
}
