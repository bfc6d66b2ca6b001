// Methods about the sandbox.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "entropy.h"
#include "files.h"
#include "forward.h"
#include "log.h"
#include "network.h"
#include "platform.h"
#include "podpid.h"
#include "service.h"
#include "slots.h"
#include "sysctl.h"

#ifndef RUND_VERSION
#define RUND_VERSION "dev"
#endif

// Nanoseconds: what takes up to four minutes to make up for.
enum { SLEW_MAX = 128000000 };

static uint64_t meminfo(const char *text, const char *name) {
    const char *line = strstr(text, name);
    unsigned long long kibibytes = 0;
    if (line != NULL) {
        sscanf(line + strlen(name), " %llu", &kibibytes);
    }
    return kibibytes * 1024;
}

static void set_clock(int64_t nanos) {
    struct timespec time = {.tv_sec = nanos / 1000000000, .tv_nsec = nanos % 1000000000};
    if (nanos > 0 && clock_settime(CLOCK_REALTIME, &time) != 0) {
        log_error("cannot set the clock to %lld ns", (long long)nanos);
    }
}

// Programs do not like to see time jump; 500 us a second is what the kernel makes up for.
static bool slew(int64_t wanted) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t difference = wanted - (now.tv_sec * INT64_C(1000000000) + now.tv_nsec);
    struct timex change = {.modes = ADJ_OFFSET_SINGLESHOT, .offset = difference / 1000};
    return llabs(difference) < SLEW_MAX && adjtimex(&change) >= 0;
}

bool rpc_set_clock(struct call *call) {
    const Rund__Agent__V1__SetClockRequest *request = call->request;
    if (!slew(request->wall_clock_nanos)) {
        set_clock(request->wall_clock_nanos);
    }
    return call_done(call);
}

bool rpc_hello(struct call *call) {
    const Rund__Agent__V1__HelloRequest *request = call->request;
    set_clock(request->wall_clock_nanos); // first, since the engine's clock goes on
    if (!entropy_add(request->entropy.data, request->entropy.len, &call->failure)) {
        return false;
    }
    if (request->hostname[0] != '\0' &&
        sethostname(request->hostname, strlen(request->hostname)) != 0) {
        return fail_errno(&call->failure, "setting the host name '%.64s'", request->hostname);
    }
    struct utsname names;
    char text[4096];
    uname(&names);
    if (file_read("/proc/meminfo", text, sizeof text) < 0) {
        return fail_errno(&call->failure, "reading /proc/meminfo");
    }
    Rund__Agent__V1__HelloResponse response = RUND__AGENT__V1__HELLO_RESPONSE__INIT;
    response.agent_version = (char *)RUND_VERSION;
    response.kernel_release = names.release;
    response.main_nanos = clock_main;
    response.ready_nanos = clock_ready;
    response.memory_total_bytes = meminfo(text, "MemTotal:");
    response.memory_available_bytes = meminfo(text, "MemAvailable:");
    response.online_cpus = (uint32_t)get_nprocs();
    log_info("engine %.64s is there", request->engine_version);
    call_reply(call, &response.base);
    return true;
}

bool rpc_bind_slot(struct call *call) {
    const Rund__Agent__V1__SlotRef *request = call->request;
    if (!slot_bind(request->slot, &call->failure)) {
        return false;
    }
    Rund__Agent__V1__BindSlotResponse response = RUND__AGENT__V1__BIND_SLOT_RESPONSE__INIT;
    char path[64];
    struct stat disk;
    slot_find_disk(request->slot, path);
    if (path[0] != '\0' && stat(path, &disk) == 0) {
        response.major = major(disk.st_rdev);
        response.minor = minor(disk.st_rdev);
    }
    call_reply(call, &response.base);
    return true;
}

bool rpc_unbind_slot(struct call *call) {
    const Rund__Agent__V1__SlotRef *request = call->request;
    return slot_unbind(request->slot, &call->failure) && call_done(call);
}

bool rpc_set_sysctls(struct call *call) {
    const Rund__Agent__V1__SetSysctlsRequest *request = call->request;
    for (size_t i = 0; i < request->n_sysctls; i++) {
        const Rund__Agent__V1__Sysctl *sysctl = request->sysctls[i];
        if (!sysctl_set(sysctl->name, sysctl->value, &call->failure)) {
            return false;
        }
    }
    return call_done(call);
}

bool rpc_shared_pid_namespace(struct call *call) {
    Rund__Agent__V1__SharedPidNamespaceResponse response =
        RUND__AGENT__V1__SHARED_PID_NAMESPACE_RESPONSE__INIT;
    pid_t pid;
    if (!pod_pid_namespace(&pid, &call->failure)) {
        return false;
    }
    response.pid = (uint32_t)pid;
    call_reply(call, &response.base);
    return true;
}

bool rpc_configure_network(struct call *call) {
    return network_configure(call->request, &call->failure) && call_done(call);
}

bool rpc_forward_port(struct call *call) {
    const Rund__Agent__V1__ForwardPortRequest *request = call->request;
    return forward_port(request->port, request->host_port, &call->failure) && call_done(call);
}
