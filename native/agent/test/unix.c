// The agent on the build machine: the host is a directory of unix sockets named by their ports, and
// the machine is this process's PID namespace.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.h"
#include "clock.h"
#include "platform.h"

static const char *host;
static const char *crun;

int platform_open_crun(void) {
    return open(crun, O_RDONLY | O_CLOEXEC);
}

bool platform_mount_shares(const char *target) {
    char path[128];
    snprintf(path, sizeof path, "%s/shares", host);
    return mount(path, target, NULL, MS_BIND, NULL) == 0;
}

bool platform_slot_interface(uint32_t slot, char name[16], struct failure *failure) {
    snprintf(name, 16, "slot%u", slot);
    return slot < 16 || fail(failure, STATUS_INVALID_ARGUMENT, "the sandbox has no slot %u", slot);
}

int platform_dial(uint32_t port) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%u", host, port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

_Noreturn void platform_power_off(void) {
    _exit(0);
}

static void prepare(const char *type, const char *target) {
    if (mount(type, target, type, 0, NULL) != 0) {
        perror(target);
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc != 3 || getpid() != 1) {
        fprintf(stderr, "usage, as PID 1 of namespaces: %s HOST CRUN\n", argv[0]);
        return 1;
    }
    clock_main = clock_boottime();
    host = argv[1];
    crun = argv[2];
    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
    prepare("proc", "/proc");
    prepare("tmpfs", "/run");
    umount2("/sys/fs/cgroup", MNT_DETACH);
    prepare("cgroup2", "/sys/fs/cgroup");
    agent_run();
}
