// Tests of the guest agent. usage: agent-test AGENT CRUN PROGRAM SAMPLES
//
// On the build machine it runs as root. As PID 1 of a virtual machine (test/in-guest.sh) it also
// tests what takes a guest kernel: cgroup v2 with its controllers, and disks in slots.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "boot.h"
#include "containers.h"
#include "tests.h"

static int run(const char *agent, const char *crun, const char *program, const char *samples,
               bool in_guest) {
    signal(SIGPIPE, SIG_IGN);
    test_units(samples);
    rootfs_make(program);
    agent_start(agent, crun);
    test_protocol();
    int open_files = agent_open_files();
    test_life_cycle();
    test_streams();
    test_adopt();
    if (in_guest) {
        test_guest();
    } else {
        test_network();
        test_forward();
    }
    section("after all that");
    CHECK(agent_open_files() == open_files);
    CHECK(agent_entries("/run/crun") == 0);
    CHECK(agent_entries("/run/rund") == 3); // .tmp, .shares, .shm
    CHECK(agent_entries("/run/rund/.tmp") == 0);
    CHECK(agent_entries("/sys/fs/cgroup/rund-test") == -1);
    CHECK(agent_end() == 0);
    rootfs_remove();
    return harness_result();
}

int main(int argc, char **argv) {
    if (getpid() == 1) {
        boot();
        run("/agent", "/bin/crun", "/program", "/samples", true);
        fflush(stdout);
        reboot(RB_AUTOBOOT);
    }
    if (argc != 5) {
        fprintf(stderr, "usage: %s AGENT CRUN PROGRAM SAMPLES\n", argv[0]);
        return 2;
    }
    return run(argv[1], argv[2], argv[3], argv[4], false);
}
