#define _GNU_SOURCE
#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

int netlink_open(void) {
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

static void *extend(struct netlink_request *request, size_t size) {
    char *end = request->bytes + NLMSG_ALIGN(request->header.nlmsg_len);
    request->header.nlmsg_len = (uint32_t)(end - request->bytes + (ptrdiff_t)size);
    return end;
}

void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags,
                   const void *fixed, size_t size) {
    memset(request, 0, sizeof *request);
    request->header.nlmsg_len = NLMSG_HDRLEN;
    request->header.nlmsg_type = type;
    request->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    memcpy(extend(request, size), fixed, size);
}

void netlink_put(struct netlink_request *request, uint16_t type, const void *value, size_t size) {
    struct rtattr *attribute = extend(request, RTA_LENGTH(size));
    attribute->rta_type = type;
    attribute->rta_len = (uint16_t)RTA_LENGTH(size);
    memcpy(RTA_DATA(attribute), value, size);
}

bool netlink_send(int fd, struct netlink_request *request) {
    // The answer to a request with NLM_F_ACK that asks for no list is one struct nlmsgerr.
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char request[sizeof *request];
    } answer;
    if (send(fd, request, request->header.nlmsg_len, 0) < 0) {
        return false;
    }
    ssize_t length;
    do {
        length = recv(fd, &answer, sizeof answer, 0);
    } while (length < 0 && errno == EINTR);
    if (length < 0) {
        return false;
    }
    if ((size_t)length < NLMSG_LENGTH(sizeof answer.error) ||
        answer.header.nlmsg_type != NLMSG_ERROR) {
        errno = EPROTO;
        return false;
    }
    errno = -answer.error.error;
    return answer.error.error == 0;
}
