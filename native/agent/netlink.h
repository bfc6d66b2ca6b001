// Requests of rtnetlink(7): struct nlmsghdr, a fixed part, attributes; each is answered.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

struct netlink_request {
    union {
        struct nlmsghdr header;
        char bytes[512]; // more than any request of the agent has
    };
};

// A socket to send requests on, or -1 with errno.
int netlink_open(void);

// Begins a request with its fixed part; flags are those beside NLM_F_REQUEST and NLM_F_ACK.
void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags,
                   const void *fixed, size_t size);

void netlink_put(struct netlink_request *request, uint16_t type, const void *value, size_t size);

// Sends it and waits for the kernel's answer. False with errno.
bool netlink_send(int fd, struct netlink_request *request);
