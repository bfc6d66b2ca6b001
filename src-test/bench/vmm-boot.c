// Measures a boot in another VMM: from the start of its process to the connection of the guest's
// agent to vsock port 1024 of the host, which is what the engine waits for too. Half of benchmark
// B1.
//   vmm-boot SOCKET VMM ARGUMENT...
// prints milliseconds, and ends the VMM. SOCKET is where its vsock device has that port: "vsock"
// for vhost-vsock, else the path of a UNIX socket, which is made.
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { AGENT_PORT = 1024, TIMEOUT_MILLIS = 180 * 1000 };

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int listen_on(int family, const struct sockaddr *address, socklen_t length,
                     const char *what) {
    int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, address, length) < 0 || listen(listener, 1) < 0) {
        err(1, "%s", what);
    }
    return listener;
}

static int listen_for_agent(const char *where) {
    if (strcmp(where, "vsock") == 0) {
        struct sockaddr_vm address = {
            .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = AGENT_PORT};
        return listen_on(AF_VSOCK, (struct sockaddr *)&address, sizeof address,
                         "vsock port 1024 (is the module vhost_vsock loaded?)");
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(where) >= sizeof address.sun_path) {
        errx(1, "%s: too long for a socket", where);
    }
    strcpy(address.sun_path, where);
    return listen_on(AF_UNIX, (struct sockaddr *)&address, sizeof address, where);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        errx(2, "usage: vmm-boot SOCKET VMM ARGUMENT...");
    }
    int listener = listen_for_agent(argv[1]);
    double start = milliseconds();
    pid_t vmm = fork();
    if (vmm < 0) {
        err(1, "fork");
    }
    if (vmm == 0) {
        // What it says is not the result.
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execvp(argv[2], argv + 2);
        err(127, "%s", argv[2]);
    }
    int pidfd = (int)syscall(SYS_pidfd_open, vmm, 0);
    struct pollfd events[] = {{listener, POLLIN, 0}, {pidfd, POLLIN, 0}};
    int ready = poll(events, 2, TIMEOUT_MILLIS);
    double end = milliseconds();
    kill(vmm, SIGKILL);
    waitpid(vmm, NULL, 0);
    if (ready <= 0 || !(events[0].revents & POLLIN)) {
        errx(1,
             ready == 0 ? "%s: no agent connected in time" : "%s ended before an agent connected",
             argv[2]);
    }
    printf("%.3f\n", end - start);
    return 0;
}
