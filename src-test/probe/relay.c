/* The tool `relay`: joins its own input and output to a socket, so that a test outside the lab
 * reaches what listens in it. */
#define _GNU_SOURCE
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(const char *what) {
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    return 1;
}

static int connect_unix(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int connect_tcp(const char *host, const char *port) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = v4.sin_port};
    bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
    if (!is_v4 && inet_pton(AF_INET6, host, &v6.sin6_addr) != 1) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr *address = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    if (fd >= 0 && connect(fd, address, is_v4 ? sizeof v4 : sizeof v6) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Moves what there is; false at the end. */
static bool move(int from, int to) {
    static char bytes[64 * 1024];
    ssize_t count = read(from, bytes, sizeof bytes);
    if (count < 0) {
        return errno == EINTR;
    }
    for (ssize_t done = 0; done < count;) {
        ssize_t written = write(to, bytes + done, (size_t)(count - done));
        if (written < 0 && errno != EINTR) {
            return false;
        }
        done += written < 0 ? 0 : written;
    }
    return count > 0;
}

int relay(int argc, char **argv) {
    int fd = -1;
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "unix") == 0) {
        fd = connect_unix(argv[2]);
    } else if (argc == 4 && strcmp(argv[1], "tcp") == 0) {
        fd = connect_tcp(argv[2], argv[3]);
    } else {
        errno = EINVAL;
    }
    if (fd < 0) {
        return fail(argc > 2 ? argv[2] : "usage: relay unix PATH | relay tcp ADDRESS PORT");
    }
    struct pollfd ends[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    /* The other side's end is the end of all; one's own is only told to it. */
    while (ends[1].fd >= 0) {
        if (poll(ends, 2, -1) < 0 && errno != EINTR) {
            return fail("poll");
        }
        if (ends[0].revents != 0 && !move(STDIN_FILENO, fd)) {
            shutdown(fd, SHUT_WR);
            ends[0].fd = -1;
        }
        if (ends[1].revents != 0 && !move(fd, STDOUT_FILENO)) {
            ends[1].fd = -1;
        }
    }
    return 0;
}
