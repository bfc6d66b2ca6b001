// Ports of the pod, reached from the host.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "containers.h"
#include "failure.h"
#include "tests.h"

enum { PORT = 8080, HOST_PORT = 3001 };

static struct answer forward(uint32_t port, uint32_t host_port) {
    Rund__Agent__V1__ForwardPortRequest request = RUND__AGENT__V1__FORWARD_PORT_REQUEST__INIT;
    request.port = port;
    request.host_port = host_port;
    return call("ForwardPort", &request.base, NULL);
}

// A listening socket of the agent's network namespace.
static int listen_inside(int family) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/net", agent_pid);
    int outside = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int inside = open(path, O_RDONLY | O_CLOEXEC);
    int fd = -1;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(PORT), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (CHECK(setns(inside, CLONE_NEWNET) == 0)) {
        fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int one = 1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        const void *address = family == AF_INET ? (void *)&four : (void *)&six;
        CHECK(bind(fd, address, family == AF_INET ? sizeof four : sizeof six) == 0);
        CHECK(listen(fd, 4) == 0);
        CHECK(setns(outside, CLONE_NEWNET) == 0);
    }
    close(inside);
    close(outside);
    return fd;
}

static void both_ways(int family) {
    int inside = listen_inside(family);
    int listener = port_listen(HOST_PORT);
    struct answer answer = forward(PORT, HOST_PORT);
    if (!CHECK(answer.code == 0)) {
        printf("    %s\n", answer.message);
        close(inside);
        close(listener);
        return;
    }
    int host = port_accept(listener);
    int pod = accept4(inside, NULL, NULL, SOCK_CLOEXEC);
    send_all(host, "to the pod", 10);
    shutdown(host, SHUT_WR);
    size_t length;
    // The end of one direction, while the other goes on.
    char *text = read_to_end(dup(pod), &length);
    CHECK(strcmp(text, "to the pod") == 0);
    free(text);
    send_all(pod, "to the host", 11);
    close(pod);
    text = read_to_end(host, &length);
    CHECK(strcmp(text, "to the host") == 0);
    free(text);
    close(inside);
}

void test_forward(void) {
    section("ports of the pod");
    char command[64];
    snprintf(command, sizeof command, "nsenter -t %d -n ip link set lo up", agent_pid);
    CHECK(system(command) == 0);
    both_ways(AF_INET);
    both_ways(AF_INET6);
    CHECK(forward(0, HOST_PORT).code == STATUS_INVALID_ARGUMENT);
    CHECK(forward(65536, HOST_PORT).code == STATUS_INVALID_ARGUMENT);
    struct answer answer = forward(81, HOST_PORT);
    CHECK(answer.code == STATUS_INTERNAL);
    CHECK(strstr(answer.message, "connecting to port 81 of the pod: Connection refused") != NULL);
    int inside = listen_inside(AF_INET);
    CHECK(forward(PORT, 3002).code == STATUS_INTERNAL); // nobody listens on the host
    close(inside);
}
