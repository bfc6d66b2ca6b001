#define _GNU_SOURCE
#include "service.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"

enum { CALLS_MAX = 64, STACK_SIZE = 64 << 10 };

struct method {
    const char *name;
    const ProtobufCMessageDescriptor *request;
    bool (*run)(struct call *call);
    bool blocks;
};

static const struct method methods[] = {
    {"Hello", &rund__agent__v1__hello_request__descriptor, rpc_hello, false},
    {"CreateContainer", &rund__agent__v1__create_container_request__descriptor,
     rpc_create_container, true},
    {"CreateExec", &rund__agent__v1__create_exec_request__descriptor, rpc_create_exec, true},
    {"Start", &rund__agent__v1__process_ref__descriptor, rpc_start, true},
    {"Wait", &rund__agent__v1__process_ref__descriptor, rpc_wait, false},
    {"Signal", &rund__agent__v1__signal_request__descriptor, rpc_signal, false},
    {"ResizeTerminal", &rund__agent__v1__resize_terminal_request__descriptor, rpc_resize_terminal,
     false},
    {"Delete", &rund__agent__v1__process_ref__descriptor, rpc_delete, true},
    {"Adopt", &rund__agent__v1__adopt_request__descriptor, rpc_adopt, true},
    {"Pause", &rund__agent__v1__container_ref__descriptor, rpc_pause, true},
    {"Resume", &rund__agent__v1__container_ref__descriptor, rpc_resume, true},
    {"Stats", &rund__agent__v1__container_ref__descriptor, rpc_stats, true},
    {"Update", &rund__agent__v1__update_request__descriptor, rpc_update, true},
    {"WaitOom", &rund__agent__v1__wait_oom_request__descriptor, rpc_wait_oom, false},
    {"SetClock", &rund__agent__v1__set_clock_request__descriptor, rpc_set_clock, true},
    {"SetSysctls", &rund__agent__v1__set_sysctls_request__descriptor, rpc_set_sysctls, true},
    {"SharedPidNamespace", &rund__agent__v1__empty__descriptor, rpc_shared_pid_namespace, true},
    {"BindSlot", &rund__agent__v1__slot_ref__descriptor, rpc_bind_slot, true},
    {"UnbindSlot", &rund__agent__v1__slot_ref__descriptor, rpc_unbind_slot, true},
    {"ConfigureNetwork", &rund__agent__v1__configure_network_request__descriptor,
     rpc_configure_network, true},
    {"ForwardPort", &rund__agent__v1__forward_port_request__descriptor, rpc_forward_port, true},
};

struct job {
    const struct method *method;
    struct call call;
    ProtobufCMessage *message;
};

static int running; // calls that have a thread

void call_reply(struct call *call, const ProtobufCMessage *message) {
    ttrpc_reply(call->stream, message);
}

bool call_done(struct call *call) {
    Rund__Agent__V1__Empty empty = RUND__AGENT__V1__EMPTY__INIT;
    call_reply(call, &empty.base);
    return true;
}

static void run(struct job *job) {
    job->call.request = job->message;
    if (!job->method->run(&job->call)) {
        ttrpc_fail(job->call.stream, &job->call.failure);
    }
    protobuf_c_message_free_unpacked(job->message, NULL);
    free(job);
}

static void *run_on_thread(void *argument) {
    run(argument);
    agent_lock();
    running--;
    agent_unlock();
    return NULL;
}

static bool start_thread(struct job *job) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    running++;
    bool started = pthread_create(&thread, &attributes, run_on_thread, job) == 0;
    running -= started ? 0 : 1;
    pthread_attr_destroy(&attributes);
    return started;
}

static const struct method *find_method(const char *name) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(methods[i].name, name) == 0) {
            return &methods[i];
        }
    }
    return NULL;
}

static bool dispatch(struct ttrpc_stream stream, const Ttrpc__Request *request,
                     struct failure *failure) {
    const struct method *method = find_method(request->method);
    if (strcmp(request->service, "rund.agent.v1.Agent") != 0 || method == NULL) {
        return fail(failure, STATUS_UNIMPLEMENTED, "the agent has no method %.100s/%.100s",
                    request->service, request->method);
    }
    if (method->blocks && running >= CALLS_MAX) {
        return fail(failure, STATUS_RESOURCE_EXHAUSTED, "%d calls are being worked on", running);
    }
    ProtobufCMessage *message = protobuf_c_message_unpack(
        method->request, NULL, request->payload.len, request->payload.data);
    if (message == NULL) {
        return fail(failure, STATUS_INVALID_ARGUMENT, "the payload of %s is not a %s", method->name,
                    method->request->name);
    }
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        protobuf_c_message_free_unpacked(message, NULL);
        return fail(failure, STATUS_RESOURCE_EXHAUSTED, "no memory for a call");
    }
    job->method = method;
    job->call.stream = stream;
    job->message = message;
    if (!method->blocks) {
        run(job);
    } else if (!start_thread(job)) {
        protobuf_c_message_free_unpacked(message, NULL);
        free(job);
        return fail(failure, STATUS_RESOURCE_EXHAUSTED, "no thread for a call");
    }
    return true;
}

void service_call(struct ttrpc_stream stream, Ttrpc__Request *request) {
    struct failure failure;
    if (!dispatch(stream, request, &failure)) {
        ttrpc_fail(stream, &failure);
    }
    ttrpc__request__free_unpacked(request, NULL);
}
