#define _GNU_SOURCE
#include "forward.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "loop.h"
#include "platform.h"
#include "relay.h"

enum { CONNECT_SECONDS = 5 };

struct forward {
    struct relay *relays[2];
};

// A program that listens and accepts nothing would hold this thread for two minutes.
static int dial(int family, const void *address, socklen_t size) {
    struct timeval patience = {.tv_sec = CONNECT_SECONDS};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    }
    if (fd >= 0 && connect(fd, address, size) != 0) {
        int error = errno == EINPROGRESS ? ETIMEDOUT : errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int dial_localhost(uint16_t port) {
    struct sockaddr_in four = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = dial(AF_INET, &four, sizeof four);
    int error = errno;
    if (fd < 0 && (fd = dial(AF_INET6, &six, sizeof six)) < 0) {
        errno = error;
    }
    return fd;
}

// Of either direction, with the lock.
static void ended(void *owner) {
    struct forward *forward = owner;
    if (relay_has_ended(forward->relays[0]) && relay_has_ended(forward->relays[1])) {
        relay_free(forward->relays[0]);
        relay_free(forward->relays[1]);
        free(forward);
    }
}

// Owns both descriptors.
static bool start(int target, int host, struct failure *failure) {
    struct forward *forward = calloc(1, sizeof *forward);
    // Each relay closes its own.
    int second_target = fcntl(target, F_DUPFD_CLOEXEC, 0);
    int second_host = fcntl(host, F_DUPFD_CLOEXEC, 0);
    if (forward == NULL || second_target < 0 || second_host < 0) {
        fail_errno(failure, "forwarding a connection");
        close(target);
        close(host);
        if (second_target >= 0) {
            close(second_target);
        }
        if (second_host >= 0) {
            close(second_host);
        }
        free(forward);
        return false;
    }
    agent_lock();
    forward->relays[0] = relay_start(host, target, RELAY_FORWARD, ended, forward);
    forward->relays[1] = relay_start(second_target, second_host, RELAY_FORWARD, ended, forward);
    bool good = forward->relays[0] != NULL && forward->relays[1] != NULL;
    if (!good) {
        fail_errno(failure, "forwarding a connection");
        relay_free(forward->relays[0]);
        relay_free(forward->relays[1]);
        free(forward);
    }
    agent_unlock();
    return good;
}

bool forward_port(uint32_t port, uint32_t host_port, struct failure *failure) {
    if (port == 0 || port > UINT16_MAX) {
        return fail(failure, STATUS_INVALID_ARGUMENT, "%u is no port", port);
    }
    int target = dial_localhost((uint16_t)port);
    if (target < 0) {
        return fail_errno(failure, "connecting to port %u of the pod", port);
    }
    int host = platform_dial(host_port);
    if (host < 0) {
        fail_errno(failure, "connecting to port %u of the host", host_port);
        close(target);
        return false;
    }
    return start(target, host, failure);
}
