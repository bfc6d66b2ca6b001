#define _GNU_SOURCE
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "netlink.h"
#include "platform.h"

enum { INTERFACES_MAX = 16, PREFIX_TEXT = INET6_ADDRSTRLEN + 8, MAC_SIZE = 6 };

typedef Rund__Agent__V1__Interface Interface;
typedef Rund__Agent__V1__InterfaceAddress Address;
typedef Rund__Agent__V1__Route Route;
typedef Rund__Agent__V1__Neighbour Neighbour;

// An interface while it is being set up.
struct link {
    int netlink;
    const Interface *wanted;
    int index;
    char name[IF_NAMESIZE]; // its present one
    struct failure *failure;
};

static int family_of(const ProtobufCBinaryData *address) {
    return address->len == 4 ? AF_INET : address->len == 16 ? AF_INET6 : AF_UNSPEC;
}

static const char *text(const ProtobufCBinaryData *address, char buffer[INET6_ADDRSTRLEN]) {
    const char *result = inet_ntop(family_of(address), address->data, buffer, INET6_ADDRSTRLEN);
    return result != NULL ? result : "?";
}

// 10.88.0.2/24
static const char *prefix_text(const ProtobufCBinaryData *address, uint32_t length,
                               char buffer[PREFIX_TEXT]) {
    char plain[INET6_ADDRSTRLEN];
    snprintf(buffer, PREFIX_TEXT, "%s/%u", text(address, plain), length);
    return buffer;
}

static bool is_prefix(const ProtobufCBinaryData *address, uint32_t length) {
    return family_of(address) != AF_UNSPEC && length <= address->len * 8;
}

// Absent, or of the same family.
static bool goes_with(const ProtobufCBinaryData *optional, const ProtobufCBinaryData *address) {
    return optional->len == 0 || optional->len == address->len;
}

static void put_address(struct netlink_request *request, uint16_t type,
                        const ProtobufCBinaryData *address) {
    if (address->len > 0) {
        netlink_put(request, type, address->data, address->len);
    }
}

static bool malformed(struct link *link, const char *what) {
    return fail(link->failure, STATUS_INVALID_ARGUMENT, "interface %.15s: %s", link->wanted->name,
                what);
}

static bool has_good_name(struct link *link) {
    const char *name = link->wanted->name;
    size_t length = strlen(name);
    return (length > 0 && length < IF_NAMESIZE && strpbrk(name, "/: \t\n") == NULL &&
            strcmp(name, ".") != 0 && strcmp(name, "..") != 0) ||
           malformed(link, "this is not a name of an interface");
}

static bool rename_to(struct link *link, const char *name) {
    struct ifinfomsg message = {.ifi_index = link->index};
    struct netlink_request request;
    netlink_begin(&request, RTM_NEWLINK, 0, &message, sizeof message);
    netlink_put(&request, IFLA_IFNAME, name, strlen(name) + 1);
    if (!netlink_send(link->netlink, &request)) {
        return fail_errno(link->failure, "renaming the interface %s to %.15s", link->name, name);
    }
    snprintf(link->name, sizeof link->name, "%.15s", name);
    return true;
}

static bool find(struct link *link) {
    if (!has_good_name(link) ||
        !platform_slot_interface(link->wanted->slot, link->name, link->failure)) {
        return false;
    }
    link->index = (int)if_nametoindex(link->name);
    return link->index != 0 || fail_errno(link->failure, "finding the interface %s", link->name);
}

// Out of the way of the others, if it has to be renamed at all.
static bool make_room(struct link *link) {
    char name[IF_NAMESIZE];
    snprintf(name, sizeof name, "rund%u", link->wanted->slot);
    return strcmp(link->name, link->wanted->name) == 0 || rename_to(link, name);
}

static bool bring_up(struct link *link) {
    struct ifinfomsg message = {
        .ifi_index = link->index,
        .ifi_flags = IFF_UP | (link->wanted->no_arp ? IFF_NOARP : 0),
        .ifi_change = IFF_UP | IFF_NOARP,
    };
    struct netlink_request request;
    netlink_begin(&request, RTM_NEWLINK, 0, &message, sizeof message);
    if (link->wanted->mtu != 0) {
        netlink_put(&request, IFLA_MTU, &link->wanted->mtu, sizeof link->wanted->mtu);
    }
    return netlink_send(link->netlink, &request) ||
           fail_errno(link->failure, "bringing the interface %s up with an MTU of %u", link->name,
                      link->wanted->mtu);
}

// Without a route: all routes are named. Without the search for duplicates: the host has done it,
// and the address would be of no use for a second.
static bool add_address(struct link *link, const Address *address) {
    if (!is_prefix(&address->address, address->prefix_length) ||
        !goes_with(&address->broadcast, &address->address)) {
        return malformed(link, "an address is malformed");
    }
    struct ifaddrmsg message = {
        .ifa_family = (uint8_t)family_of(&address->address),
        .ifa_prefixlen = (uint8_t)address->prefix_length,
        .ifa_scope = (uint8_t)address->scope,
        .ifa_index = (uint32_t)link->index,
    };
    uint32_t flags =
        IFA_F_NOPREFIXROUTE | (message.ifa_family == AF_INET6 ? IFA_F_NODAD : IFA_F_PERMANENT);
    struct netlink_request request;
    netlink_begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &message, sizeof message);
    put_address(&request, IFA_LOCAL, &address->address);
    put_address(&request, IFA_ADDRESS, &address->address);
    put_address(&request, IFA_BROADCAST, &address->broadcast);
    netlink_put(&request, IFA_FLAGS, &flags, sizeof flags);
    char buffer[PREFIX_TEXT];
    return netlink_send(link->netlink, &request) || errno == EEXIST ||
           fail_errno(link->failure, "adding the address %s to %s",
                      prefix_text(&address->address, address->prefix_length, buffer), link->name);
}

static void put_mtu(struct netlink_request *request, uint32_t mtu) {
    struct {
        struct rtattr header;
        uint32_t mtu;
    } metric = {{.rta_len = RTA_LENGTH(sizeof mtu), .rta_type = RTAX_MTU}, mtu};
    if (mtu != 0) {
        netlink_put(request, RTA_METRICS, &metric, sizeof metric);
    }
}

static bool add_route(struct link *link, const Route *route) {
    if (!is_prefix(&route->destination, route->prefix_length) ||
        !goes_with(&route->gateway, &route->destination) ||
        !goes_with(&route->source, &route->destination)) {
        return malformed(link, "a route is malformed");
    }
    struct rtmsg message = {
        .rtm_family = (uint8_t)family_of(&route->destination),
        .rtm_dst_len = (uint8_t)route->prefix_length,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = RTPROT_BOOT,
        .rtm_scope = (uint8_t)route->scope,
        .rtm_type = RTN_UNICAST,
        .rtm_flags = route->on_link ? RTNH_F_ONLINK : 0,
    };
    struct netlink_request request;
    netlink_begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &message, sizeof message);
    put_address(&request, RTA_DST, &route->destination);
    put_address(&request, RTA_GATEWAY, &route->gateway);
    put_address(&request, RTA_PREFSRC, &route->source);
    netlink_put(&request, RTA_OIF, &link->index, sizeof link->index);
    if (route->metric != 0) {
        netlink_put(&request, RTA_PRIORITY, &route->metric, sizeof route->metric);
    }
    put_mtu(&request, route->mtu);
    char buffer[PREFIX_TEXT];
    return netlink_send(link->netlink, &request) || errno == EEXIST ||
           fail_errno(link->failure, "adding the route to %s on %s",
                      prefix_text(&route->destination, route->prefix_length, buffer), link->name);
}

static bool add_neighbour(struct link *link, const Neighbour *neighbour) {
    if (!is_prefix(&neighbour->address, 0) || neighbour->mac.len != MAC_SIZE) {
        return malformed(link, "a neighbour is malformed");
    }
    struct ndmsg message = {
        .ndm_family = (uint8_t)family_of(&neighbour->address),
        .ndm_ifindex = link->index,
        .ndm_state = NUD_PERMANENT,
    };
    struct netlink_request request;
    netlink_begin(&request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &message, sizeof message);
    put_address(&request, NDA_DST, &neighbour->address);
    put_address(&request, NDA_LLADDR, &neighbour->mac);
    char buffer[INET6_ADDRSTRLEN];
    return netlink_send(link->netlink, &request) ||
           fail_errno(link->failure, "adding the neighbour %s to %s",
                      text(&neighbour->address, buffer), link->name);
}

// A gateway has to be reachable before a route leads over it.
static bool add_routes(struct link *link, bool over_gateways) {
    bool good = true;
    for (size_t i = 0; good && i < link->wanted->n_routes; i++) {
        const Route *route = link->wanted->routes[i];
        good = (route->gateway.len > 0) != over_gateways || add_route(link, route);
    }
    return good;
}

static bool give_addresses(struct link *link) {
    const Interface *wanted = link->wanted;
    bool good = bring_up(link);
    for (size_t i = 0; good && i < wanted->n_addresses; i++) {
        good = add_address(link, wanted->addresses[i]);
    }
    return good;
}

static bool give_routes(struct link *link) {
    const Interface *wanted = link->wanted;
    bool good = add_routes(link, false) && add_routes(link, true);
    for (size_t i = 0; good && i < wanted->n_neighbours; i++) {
        good = add_neighbour(link, wanted->neighbours[i]);
    }
    return good;
}

static bool configure(struct link *links, size_t count) {
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
        good = find(&links[i]);
    }
    for (size_t i = 0; good && i < count; i++) {
        good = make_room(&links[i]);
    }
    for (size_t i = 0; good && i < count; i++) {
        struct link *link = &links[i];
        good = strcmp(link->name, link->wanted->name) == 0 || rename_to(link, link->wanted->name);
    }
    // A route may have the address of another interface as its source.
    for (size_t i = 0; good && i < count; i++) {
        good = give_addresses(&links[i]);
    }
    for (size_t i = 0; good && i < count; i++) {
        good = give_routes(&links[i]);
    }
    return good;
}

bool network_configure(const Rund__Agent__V1__ConfigureNetworkRequest *request,
                       struct failure *failure) {
    struct link links[INTERFACES_MAX];
    if (request->n_interfaces > INTERFACES_MAX) {
        return fail(failure, STATUS_RESOURCE_EXHAUSTED, "%zu interfaces; a sandbox can have %d",
                    request->n_interfaces, INTERFACES_MAX);
    }
    int netlink = netlink_open();
    if (netlink < 0) {
        return fail_errno(failure, "opening a netlink socket");
    }
    for (size_t i = 0; i < request->n_interfaces; i++) {
        links[i] =
            (struct link){.netlink = netlink, .wanted = request->interfaces[i], .failure = failure};
    }
    bool good = configure(links, request->n_interfaces);
    close(netlink);
    return good;
}
