// Tests of the guest agent. usage: agent-test AGENT PROGRAM SAMPLES
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "containers.h"
#include "tests.h"

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s AGENT PROGRAM SAMPLES\n", argv[0]);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    test_units(argv[3]);
    rootfs_make(argv[2]);
    agent_start(argv[1]);
    test_protocol();
    int open_files = agent_open_files();
    test_life_cycle();
    test_streams();
    section("after all that");
    CHECK(agent_open_files() == open_files);
    CHECK(agent_end() == 0);
    rootfs_remove();
    return harness_result();
}
