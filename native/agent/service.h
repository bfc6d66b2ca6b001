// The methods of rund.agent.v1.Agent and how they are run.
#pragma once

#include <stdint.h>

#include "failure.h"
#include "rund/agent/v1/agent.pb-c.h"
#include "ttrpc.h"
#include "ttrpc.pb-c.h"

struct call {
    struct ttrpc_stream stream;
    const void *request; // of the type that the method takes
    struct failure failure;
};

// Runs the call and answers it in the end; takes the request over. Needs the lock.
void service_call(struct ttrpc_stream stream, Ttrpc__Request *request);

// The methods. Each answers with call_reply and returns true, or fills call->failure in and returns
// false; Wait and WaitOom may return true and leave the answer for later.
void call_reply(struct call *call, const ProtobufCMessage *message);
bool call_done(struct call *call); // replies with Empty

// These run on a thread of their own, without the lock.
bool rpc_create_container(struct call *call);
bool rpc_create_exec(struct call *call);
bool rpc_start(struct call *call);
bool rpc_delete(struct call *call);
bool rpc_adopt(struct call *call);
bool rpc_pause(struct call *call);
bool rpc_resume(struct call *call);
bool rpc_stats(struct call *call);
bool rpc_update(struct call *call);
bool rpc_set_clock(struct call *call);
bool rpc_set_sysctls(struct call *call);
bool rpc_shared_pid_namespace(struct call *call);
bool rpc_bind_slot(struct call *call);
bool rpc_unbind_slot(struct call *call);
bool rpc_configure_network(struct call *call);
bool rpc_forward_port(struct call *call);

// These do not block and run in the loop, with the lock.
bool rpc_hello(struct call *call);
bool rpc_wait(struct call *call);
bool rpc_wait_oom(struct call *call);
bool rpc_signal(struct call *call);
bool rpc_resize_terminal(struct call *call);
