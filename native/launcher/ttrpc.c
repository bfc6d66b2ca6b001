#include "ttrpc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "failure.h"

// A frame: payload length, stream id (both big endian), type, flags, payload.
enum { HEADER = 10, STREAM = 1, TYPE_REQUEST = 1, TYPE_RESPONSE = 2 };

static void put_u32(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static uint32_t get_u32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int connect_to(const char *path, unsigned seconds) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        fail("socket path %s is too long: shorten state_dir in rund.toml", path);
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        fail_errno("cannot make a socket");
    }
    struct timeval patience = {.tv_sec = (time_t)seconds};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        return fd;
    }
    struct stat status;
    if (errno == ECONNREFUSED && lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
        fail("%s is not a socket: remove it", path);
    }
    if (errno != ECONNREFUSED && errno != ENOENT && errno != EAGAIN) {
        fail_errno("cannot connect to the engine at %s", path);
    }
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool send_all(int fd, const uint8_t *bytes, size_t length) {
    while (length > 0) {
        ssize_t count = send(fd, bytes, length, MSG_NOSIGNAL);
        if (count < 0) {
            return false;
        }
        bytes += count;
        length -= (size_t)count;
    }
    return true;
}

// 1 when all came, 0 when the peer hung up, -1 when it did not answer in time.
static int receive_all(int fd, uint8_t *bytes, size_t length) {
    while (length > 0) {
        ssize_t count = recv(fd, bytes, length, 0);
        if (count <= 0) {
            return count == 0 || errno == ECONNRESET ? 0 : -1;
        }
        bytes += count;
        length -= (size_t)count;
    }
    return 1;
}

static void impostor(int fd, const char *path, const char *what, struct reply *reply) {
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    reply->outcome = NOT_AN_ENGINE;
    snprintf(reply->text, sizeof reply->text,
             "%s is served by process %d, which %s: if it is not a rund engine, end it and remove "
             "the socket",
             path, (int)peer.pid, what);
}

static void read_response(int fd, const char *path, struct bytes response, struct reply *reply) {
    bool malformed = false;
    uint64_t code = 0;
    struct bytes status = {NULL, 0};
    struct bytes text = {NULL, 0};
    reply->payload = (struct bytes){NULL, 0};
    find_bytes(response, 2, &reply->payload, &malformed);
    if (find_bytes(response, 1, &status, &malformed)) {
        find_varint(status, 1, &code, &malformed);
        find_bytes(status, 2, &text, &malformed);
    }
    if (malformed) {
        impostor(fd, path, "answers with a malformed response", reply);
    } else if (code != 0) {
        reply->outcome = REFUSED;
        snprintf(reply->text, sizeof reply->text, "%.*s", (int)text.length,
                 (const char *)text.start);
    } else {
        reply->outcome = ANSWERED;
    }
}

static void exchange(int fd, const char *path, const struct message *request, struct reply *reply) {
    uint8_t header[HEADER] = {[8] = TYPE_REQUEST};
    put_u32(header, (uint32_t)request->length);
    put_u32(header + 4, STREAM);
    bool sent = send_all(fd, header, HEADER) && send_all(fd, request->bytes, request->length);
    // Who hangs up before it has read anything may have said something, which tells who it is.
    int received = receive_all(fd, header, HEADER);
    if (!sent && received != 1) {
        reply->outcome = HUNG_UP;
        return;
    }
    uint32_t length = get_u32(header);
    if (received == 1 && (length > sizeof reply->frame || get_u32(header + 4) != STREAM ||
                          header[8] != TYPE_RESPONSE)) {
        impostor(fd, path, "does not speak ttrpc", reply);
        return;
    }
    if (received == 1) {
        received = receive_all(fd, reply->frame, length);
    }
    if (received == 1) {
        read_response(fd, path, (struct bytes){reply->frame, length}, reply);
    } else if (received == 0) {
        reply->outcome = HUNG_UP;
    } else {
        impostor(fd, path, "does not answer", reply);
    }
}

void call(const char *socket_path, const char *service, const char *method,
          const struct message *request, unsigned seconds, struct reply *reply) {
    int fd = connect_to(socket_path, seconds);
    if (fd < 0 && errno == EAGAIN) {
        reply->outcome = NOT_AN_ENGINE;
        snprintf(reply->text, sizeof reply->text,
                 "%s accepts no connections: its server hangs or is overloaded", socket_path);
        return;
    }
    if (fd < 0) {
        reply->outcome = NOT_SERVED;
        return;
    }
    struct message envelope = {0};
    put_string(&envelope, 1, service);
    put_string(&envelope, 2, method);
    put_bytes(&envelope, 3, request->bytes, request->length);
    exchange(fd, socket_path, &envelope, reply);
    close(fd);
}
