#define _GNU_SOURCE
#include "console.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool console_listen(struct console *console, struct failure *failure) {
    console->socket = temporary_path();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, console->socket.path, strlen(console->socket.path));
    // Non-blocking, because crun has connected, or never will, when console_take looks.
    console->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (console->listener < 0 ||
        bind(console->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(console->listener, 1) != 0) {
        fail_errno(failure, "making the console socket %s", console->socket.path);
        console_close(console);
        return false;
    }
    return true;
}

static int receive_descriptor(int connection) {
    char byte[64];
    struct iovec data = {byte, sizeof byte};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) < 0) {
        return -1;
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
        errno = EPROTO;
        return -1;
    }
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

int console_take(struct console *console, struct failure *failure) {
    int connection = accept4(console->listener, NULL, NULL, SOCK_CLOEXEC);
    int master = connection < 0 ? -1 : receive_descriptor(connection);
    if (master < 0) {
        fail_errno(failure, "receiving the terminal from crun");
    }
    if (connection >= 0) {
        close(connection);
    }
    return master;
}

void console_close(struct console *console) {
    if (console->listener >= 0) {
        close(console->listener);
        unlink(console->socket.path);
        console->listener = -1;
    }
}
