// rund's guest agent: PID 1 of a sandbox. The protocol is rund/agent/v1/agent.proto.
#include "agent.h"
#include "boot.h"
#include "clock.h"
#include "log.h"

int main(void) {
    clock_main = clock_boottime();
    boot();
    log_info("started, connecting to the engine");
    agent_run();
}
