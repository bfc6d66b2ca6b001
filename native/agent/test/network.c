// Interfaces, in the agent's network namespace: veth pairs in the place of cards, ip(8) to look.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "containers.h"
#include "failure.h"
#include "tests.h"

enum { OUTPUT_SIZE = 8192 };

// Runs ip(8) with these arguments; its output.
static const char *ip(const char *format, ...) {
    static char output[OUTPUT_SIZE];
    char arguments[256];
    char command[512];
    va_list args;
    va_start(args, format);
    vsnprintf(arguments, sizeof arguments, format, args);
    va_end(args);
    snprintf(command, sizeof command, "nsenter -t %d -n ip %s 2>&1", agent_pid, arguments);
    FILE *pipe = popen(command, "r");
    size_t length = fread(output, 1, sizeof output - 1, pipe);
    output[length] = '\0';
    pclose(pipe);
    return output;
}

static void shows(const char *arguments, const char *expected) {
    const char *output = ip("%s", arguments);
    if (!CHECK(strstr(output, expected) != NULL)) {
        printf("    ip %s: no '%s' in:\n%s\n", arguments, expected, output);
    }
}

static ProtobufCBinaryData binary(const char *address) {
    static uint8_t storage[32][16];
    static int next;
    uint8_t *bytes = storage[next++ % 32];
    if (inet_pton(AF_INET, address, bytes) == 1) {
        return (ProtobufCBinaryData){.len = 4, .data = bytes};
    }
    bool good = inet_pton(AF_INET6, address, bytes) == 1;
    return (ProtobufCBinaryData){.len = good ? 16 : 0, .data = bytes};
}

static Rund__Agent__V1__InterfaceAddress address(const char *text, unsigned length) {
    Rund__Agent__V1__InterfaceAddress result = RUND__AGENT__V1__INTERFACE_ADDRESS__INIT;
    result.address = binary(text);
    result.prefix_length = length;
    return result;
}

static Rund__Agent__V1__Route route(const char *to, unsigned length, const char *gateway) {
    Rund__Agent__V1__Route result = RUND__AGENT__V1__ROUTE__INIT;
    result.destination = binary(to);
    result.prefix_length = length;
    result.gateway = binary(gateway);
    result.scope = gateway[0] == '\0' && result.destination.len == 4 ? 253 : 0;
    return result;
}

static Rund__Agent__V1__Interface interface(unsigned slot, const char *name) {
    Rund__Agent__V1__Interface result = RUND__AGENT__V1__INTERFACE__INIT;
    result.slot = slot;
    result.name = (char *)name;
    return result;
}

static struct answer configure(Rund__Agent__V1__Interface **interfaces, size_t count) {
    Rund__Agent__V1__ConfigureNetworkRequest request =
        RUND__AGENT__V1__CONFIGURE_NETWORK_REQUEST__INIT;
    request.interfaces = interfaces;
    request.n_interfaces = count;
    return call("ConfigureNetwork", &request.base, NULL);
}

static void pod(void) {
    section("an interface with addresses, routes and a neighbour");
    ip("link add slot1 type veth peer name peer1 mtu 1400");
    ip("link set peer1 up");
    Rund__Agent__V1__InterfaceAddress four = address("10.1.1.2", 24);
    four.broadcast = binary("10.1.1.255");
    Rund__Agent__V1__InterfaceAddress six = address("fd88::2", 64);
    Rund__Agent__V1__InterfaceAddress *addresses[] = {&four, &six};
    // The gateways before what makes them reachable.
    Rund__Agent__V1__Route by_default = route("0.0.0.0", 0, "10.1.1.1");
    Rund__Agent__V1__Route over_gateway = route("10.1.1.0", 24, "10.1.1.1");
    over_gateway.source = binary("10.1.1.2");
    Rund__Agent__V1__Route gateway = route("10.1.1.1", 32, "");
    Rund__Agent__V1__Route default6 = route("::", 0, "fd88::1");
    default6.metric = 5;
    Rund__Agent__V1__Route link6 = route("fd88::", 64, "");
    link6.metric = 256;
    Rund__Agent__V1__Route elsewhere = route("172.20.0.0", 16, "192.0.2.1");
    elsewhere.on_link = true;
    elsewhere.mtu = 1300;
    elsewhere.metric = 7;
    Rund__Agent__V1__Route *routes[] = {&by_default, &over_gateway, &gateway,
                                        &default6,   &link6,        &elsewhere};
    Rund__Agent__V1__Neighbour neighbour = RUND__AGENT__V1__NEIGHBOUR__INIT;
    neighbour.address = binary("10.1.1.1");
    neighbour.mac = (ProtobufCBinaryData){.len = 6, .data = (uint8_t *)"\x02\0\0\0\0\x01"};
    Rund__Agent__V1__Neighbour *neighbours[] = {&neighbour};
    Rund__Agent__V1__Interface eth0 = interface(1, "eth0");
    eth0.mtu = 1400;
    eth0.addresses = addresses;
    eth0.n_addresses = 2;
    eth0.routes = routes;
    eth0.n_routes = 6;
    eth0.neighbours = neighbours;
    eth0.n_neighbours = 1;
    Rund__Agent__V1__Interface *interfaces[] = {&eth0};
    struct answer answer = configure(interfaces, 1);
    if (!CHECK(answer.code == 0)) {
        printf("    %s\n", answer.message);
    }
    shows("link show eth0", "mtu 1400");
    shows("link show eth0", ",UP");
    shows("-o addr show dev eth0", "inet 10.1.1.2/24 brd 10.1.1.255 scope global noprefixroute");
    shows("-o addr show dev eth0", "inet6 fd88::2/64 scope global nodad noprefixroute");
    CHECK(strstr(ip("-o addr show dev eth0"), "fd88::2/64 scope global tentative") == NULL);
    shows("route", "default via 10.1.1.1 dev eth0");
    shows("route", "10.1.1.0/24 via 10.1.1.1 dev eth0 src 10.1.1.2");
    shows("route", "10.1.1.1 dev eth0 scope link");
    shows("route", "172.20.0.0/16 via 192.0.2.1 dev eth0 metric 7 onlink mtu 1300");
    CHECK(strstr(ip("route"), "10.1.1.0/24 dev eth0") == NULL);
    shows("-6 route", "fd88::/64 dev eth0 metric 256");
    shows("-6 route", "default via fd88::1 dev eth0 metric 5");
    shows("neigh", "10.1.1.1 dev eth0 lladdr 02:00:00:00:00:01 PERMANENT");
}

static void names(void) {
    section("interfaces that exchange their names");
    ip("link add slot2 type veth peer name slot3");
    Rund__Agent__V1__Interface one = interface(2, "slot3");
    Rund__Agent__V1__Interface other = interface(3, "slot2");
    Rund__Agent__V1__Interface *both[] = {&one, &other};
    const char *mac = strstr(ip("-o link show slot2"), "link/ether");
    char expected[32];
    snprintf(expected, sizeof expected, "%.28s", mac != NULL ? mac : "none");
    CHECK(configure(both, 2).code == 0);
    shows("-o link show slot3", expected);
    ip("link del slot2");
}

static void others_address(void) {
    section("a route whose source is the next interface's address; and an interface without ARP");
    ip("link add slot4 type veth peer name peer4");
    ip("link add slot5 type veth peer name peer5");
    Rund__Agent__V1__Route sourced = route("10.9.0.0", 16, "");
    sourced.source = binary("10.5.0.2");
    Rund__Agent__V1__Route *routes[] = {&sourced};
    Rund__Agent__V1__Interface one = interface(4, "slot4");
    one.routes = routes;
    one.n_routes = 1;
    one.no_arp = true;
    Rund__Agent__V1__InterfaceAddress four = address("10.5.0.2", 24);
    Rund__Agent__V1__InterfaceAddress *addresses[] = {&four};
    Rund__Agent__V1__Interface other = interface(5, "slot5");
    other.addresses = addresses;
    other.n_addresses = 1;
    Rund__Agent__V1__Interface *both[] = {&one, &other};
    struct answer answer = configure(both, 2);
    if (!CHECK(answer.code == 0)) {
        printf("    %s\n", answer.message);
    }
    shows("route", "10.9.0.0/16 dev slot4 scope link src 10.5.0.2");
    shows("link show slot4", "NOARP");
    CHECK(strstr(ip("link show slot5"), "NOARP") == NULL);
    ip("link del slot4");
    ip("link del slot5");
}

static void fails(Rund__Agent__V1__Interface *wanted, int code, const char *message) {
    struct answer answer = configure(&wanted, 1);
    if (!CHECK(answer.code == code) || !CHECK(strstr(answer.message, message) != NULL)) {
        printf("    code %d: %s\n", answer.code, answer.message);
    }
}

static void failures(void) {
    section("interfaces that cannot be");
    static const char *const bad_names[] = {"", ".", "..", "a/b", "a b", "sixteen-letters-"};
    for (size_t i = 0; i < sizeof bad_names / sizeof *bad_names; i++) {
        Rund__Agent__V1__Interface bad = interface(1, bad_names[i]);
        fails(&bad, STATUS_INVALID_ARGUMENT, "not a name");
    }
    Rund__Agent__V1__Interface none = interface(99, "eth1");
    fails(&none, STATUS_INVALID_ARGUMENT, "no slot 99");
    Rund__Agent__V1__Interface missing = interface(9, "eth1");
    fails(&missing, STATUS_INTERNAL, "finding the interface slot9");

    ip("link add slot4 type veth peer name peer4");
    Rund__Agent__V1__Interface eth4 = interface(4, "slot4");
    eth4.mtu = 100000;
    fails(&eth4, STATUS_INTERNAL, "bringing the interface slot4 up with an MTU of 100000");
    eth4.mtu = 0;
    Rund__Agent__V1__Route lost = route("10.9.0.0", 16, "10.8.0.1");
    Rund__Agent__V1__Route *routes[] = {&lost};
    eth4.routes = routes;
    eth4.n_routes = 1;
    fails(&eth4, STATUS_INTERNAL, "adding the route to 10.9.0.0/16 on slot4");
    lost.gateway = binary("fd88::1");
    fails(&eth4, STATUS_INVALID_ARGUMENT, "slot4: a route is malformed");
    lost.gateway.len = 0;
    lost.prefix_length = 33;
    fails(&eth4, STATUS_INVALID_ARGUMENT, "slot4: a route is malformed");
    eth4.n_routes = 0;
    Rund__Agent__V1__InterfaceAddress odd = address("10.1.1.2", 24);
    odd.address.len = 5;
    Rund__Agent__V1__InterfaceAddress *addresses[] = {&odd};
    eth4.addresses = addresses;
    eth4.n_addresses = 1;
    fails(&eth4, STATUS_INVALID_ARGUMENT, "slot4: an address is malformed");
    CHECK(configure(NULL, 0).code == 0);
}

void test_network(void) {
    pod();
    names();
    others_address();
    failures();
}
