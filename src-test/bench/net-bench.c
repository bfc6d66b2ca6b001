// Benchmark B9, both halves. As the init of a VM: gives eth0 the address 10.99.0.2, measures TCP to
// the host and back, and resets. On the host, `net-bench ADDRESS`: the other end of it, listening
// there; prints what the guest has measured, "NAME MILLISECONDS" a line, and ends. The guest takes
// all times, from its first byte to the host's last.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PORT = 5999,
    CHUNK = 128 << 10,
    WARM_UP = 4 << 20,
    STREAM = 64 << 20,
    ROUND_TRIPS = 500,
    CONNECT_ATTEMPTS = 500,
    // The first byte of a connection says what it is for.
    SEND = 's',
    RECEIVE = 'r',
    ECHO = 'e',
    TIMES = 't',
};

static char buffer[CHUNK];
static bool in_guest;

// The host does not learn why, but that the guest has ended without times.
static void check(bool good, const char *what) {
    if (good) {
        return;
    }
    if (in_guest) {
        reboot(RB_AUTOBOOT);
    }
    err(1, "%s", what);
}

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static struct sockaddr_in address_of(const char *text) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    check(inet_pton(AF_INET, text, &address.sin_addr) == 1, text);
    return address;
}

static void write_all(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        check(n > 0, "write");
        bytes += n;
        length -= (size_t)n;
    }
}

static void write_stream(int fd, size_t length) {
    for (; length > 0; length -= length < CHUNK ? length : CHUNK) {
        write_all(fd, buffer, length < CHUNK ? length : CHUNK);
    }
}

static size_t read_to_end(int fd) {
    size_t total = 0;
    for (ssize_t n; (n = read(fd, buffer, CHUNK)) != 0; total += (size_t)n) {
        check(n > 0, "read");
    }
    return total;
}

// The guest.

static void set_up_interface(void) {
    struct ifreq request = {.ifr_name = "eth0"};
    struct sockaddr_in address = address_of("10.99.0.2");
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    memcpy(&request.ifr_addr, &address, sizeof address);
    check(ioctl(fd, SIOCSIFADDR, &request) == 0, "SIOCSIFADDR");
    address = address_of("255.255.255.0");
    memcpy(&request.ifr_netmask, &address, sizeof address);
    check(ioctl(fd, SIOCSIFNETMASK, &request) == 0, "SIOCSIFNETMASK");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    check(ioctl(fd, SIOCSIFFLAGS, &request) == 0, "SIOCSIFFLAGS");
    close(fd);
}

static int dial(char purpose) {
    struct sockaddr_in host = address_of("10.99.0.1");
    int one = 1;
    for (int i = 0; i < CONNECT_ATTEMPTS; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&host, sizeof host) == 0) {
            check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0, "TCP_NODELAY");
            write_all(fd, &purpose, 1);
            return fd;
        }
        close(fd);
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    }
    check(false, "connect");
    return -1;
}

// To the answer that everything has arrived.
static double send_stream(uint32_t length) {
    int fd = dial(SEND);
    double start = milliseconds();
    write_stream(fd, length);
    check(shutdown(fd, SHUT_WR) == 0, "shutdown");
    check(read_to_end(fd) == 1, "the host's answer");
    double took = milliseconds() - start;
    close(fd);
    return took;
}

static double receive_stream(uint32_t length) {
    int fd = dial(RECEIVE);
    double start = milliseconds();
    write_all(fd, (const char *)&length, sizeof length);
    check(read_to_end(fd) == length, "what the host sends");
    double took = milliseconds() - start;
    close(fd);
    return took;
}

static double round_trips(int count) {
    int fd = dial(ECHO);
    double start = milliseconds();
    for (int i = 0; i < count; i++) {
        char byte = (char)i;
        check(write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1 && byte == (char)i, "echo");
    }
    double took = milliseconds() - start;
    close(fd);
    return took;
}

static void guest(void) {
    set_up_interface();
    send_stream(WARM_UP);
    receive_stream(WARM_UP);
    round_trips(ROUND_TRIPS / 10);
    double sent = send_stream(STREAM);
    double received = receive_stream(STREAM);
    double trips = round_trips(ROUND_TRIPS);
    char times[128];
    int length = snprintf(times, sizeof times, "send %.3f\nreceive %.3f\nround-trips %.3f\n", sent,
                          received, trips);
    int fd = dial(TIMES);
    write_all(fd, times, (size_t)length);
    check(shutdown(fd, SHUT_WR) == 0, "shutdown");
    read_to_end(fd);
    reboot(RB_AUTOBOOT);
}

// The host.

static bool serve(int fd) {
    char purpose;
    uint32_t length;
    ssize_t n;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    check(read(fd, &purpose, 1) == 1, "the purpose of a connection");
    switch (purpose) {
    case SEND:
        read_to_end(fd);
        write_all(fd, &purpose, 1);
        break;
    case RECEIVE:
        check(recv(fd, &length, sizeof length, MSG_WAITALL) == sizeof length, "a length");
        write_stream(fd, length);
        break;
    case ECHO:
        while ((n = read(fd, buffer, 1)) == 1) {
            write_all(fd, buffer, 1);
        }
        break;
    case TIMES:
        while ((n = read(fd, buffer, CHUNK)) > 0) {
            fwrite(buffer, 1, (size_t)n, stdout);
        }
        break;
    default:
        errx(1, "a connection for '%c'", purpose);
    }
    close(fd);
    return purpose != TIMES;
}

static void host(const char *text) {
    struct sockaddr_in address = address_of(text);
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    check(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    check(listen(listener, 1) == 0, "listen");
    int fd;
    do {
        fd = accept(listener, NULL, NULL);
        check(fd >= 0, "accept");
    } while (serve(fd));
}

int main(int argc, char **argv) {
    in_guest = getpid() == 1;
    if (in_guest) {
        guest();
    }
    if (argc != 2) {
        errx(2, "usage: net-bench ADDRESS");
    }
    host(argv[1]);
    return 0;
}
