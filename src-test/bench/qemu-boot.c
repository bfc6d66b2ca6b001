// Measures a boot in QEMU: from the start of the process to the connection of the guest's agent to
// vsock port 1024 of the host, which is what the engine waits for too. Half of benchmark B1.
//   qemu-boot QEMU ARGUMENT...
// prints milliseconds, and ends QEMU. The arguments must give the guest a vhost-vsock device.
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { AGENT_PORT = 1024, TIMEOUT_MILLIS = 180 * 1000 };

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int listen_for_agent(void) {
    struct sockaddr_vm address = {
        .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = AGENT_PORT};
    int listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 1) < 0) {
        err(1, "vsock port %d (is the module vhost_vsock loaded?)", AGENT_PORT);
    }
    return listener;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        errx(2, "usage: qemu-boot QEMU ARGUMENT...");
    }
    int listener = listen_for_agent();
    double start = milliseconds();
    pid_t qemu = fork();
    if (qemu < 0) {
        err(1, "fork");
    }
    if (qemu == 0) {
        execvp(argv[1], argv + 1);
        err(127, "%s", argv[1]);
    }
    int pidfd = (int)syscall(SYS_pidfd_open, qemu, 0);
    struct pollfd events[] = {{listener, POLLIN, 0}, {pidfd, POLLIN, 0}};
    int ready = poll(events, 2, TIMEOUT_MILLIS);
    double end = milliseconds();
    kill(qemu, SIGKILL);
    waitpid(qemu, NULL, 0);
    if (ready <= 0 || !(events[0].revents & POLLIN)) {
        errx(1, "%s",
             ready == 0 ? "no agent connected in time" : "QEMU ended before an agent connected");
    }
    printf("%.3f\n", end - start);
    return 0;
}
