#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "adopt.h"
#include "clock.h"
#include "crun.h"
#include "log.h"
#include "loop.h"
#include "platform.h"
#include "reaper.h"
#include "ttrpc.h"

enum { CONTROL_PORT = 1024 };

int64_t clock_main;
int64_t clock_ready;

int64_t clock_boottime(void) {
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

// At first, and whenever the connection has ended. One attempt, for which the loop stands still:
// there is nobody to serve meanwhile. Who restores a machine listens before it runs; where nobody
// does, the sandbox has come to its end.
static void serve(void) {
    int control = platform_dial(CONTROL_PORT);
    if (control < 0) {
        log_fatal("connecting to port %d of the host: %s", CONTROL_PORT, strerror(errno));
        platform_power_off();
    }
    clock_ready = clock_boottime();
    adopt_cut_off();
    ttrpc_serve(control, serve);
}

_Noreturn void agent_run(void) {
    mkdir("/run/rund", 0711);
    mkdir("/run/rund/.tmp", 0700);
    loop_open();
    reaper_open();
    serve();
    crun_load(); // the engine is at work on its first request meanwhile
    loop_run();
}
