#define _GNU_SOURCE
#include "ttrpc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"
#include "platform.h"
#include "service.h"
#include "ttrpc.pb-c.h"

enum { HEADER_SIZE = 10, TYPE_REQUEST = 1, TYPE_RESPONSE = 2 };

struct header {
    uint32_t length;
    uint32_t stream;
    uint8_t type;
    uint8_t flags;
};

// The frame being received. A payload that is not wanted is skipped: payload is NULL and length
// counts down.
static struct {
    struct source source;
    void (*ended)(void);
    int fd;
    uint32_t number; // how many there have been before
    uint8_t header_bytes[HEADER_SIZE];
    size_t header_size;
    struct header header;
    uint8_t *payload;
    size_t payload_size;
    uint32_t last_stream;
} connection;

// Guards the number of the connection, too.
static pthread_mutex_t send_lock = PTHREAD_MUTEX_INITIALIZER;

bool ttrpc_is_open(struct ttrpc_stream stream) {
    return stream.connection == connection.number;
}

static void send_response(struct ttrpc_stream stream, const Ttrpc__Response *response) {
    size_t length = ttrpc__response__get_packed_size(response);
    uint8_t *frame = malloc(HEADER_SIZE + length);
    if (frame == NULL) {
        log_error("no memory for an answer of %zu bytes", length);
        return;
    }
    uint32_t words[2] = {htonl((uint32_t)length), htonl(stream.id)};
    memcpy(frame, words, sizeof words);
    frame[8] = TYPE_RESPONSE;
    frame[9] = 0;
    ttrpc__response__pack(response, frame + HEADER_SIZE);

    pthread_mutex_lock(&send_lock);
    size_t sent = 0;
    while (ttrpc_is_open(stream) && sent < HEADER_SIZE + length) {
        ssize_t n = send(connection.fd, frame + sent, HEADER_SIZE + length - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            break; // the engine is gone: the loop sees the end of the connection
        }
        sent += n > 0 ? (size_t)n : 0;
    }
    pthread_mutex_unlock(&send_lock);
    free(frame);
}

void ttrpc_reply(struct ttrpc_stream stream, const ProtobufCMessage *message) {
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *payload = malloc(length + 1);
    if (payload == NULL || length > TTRPC_MESSAGE_MAX - 64) {
        struct failure failure;
        fail(&failure, STATUS_RESOURCE_EXHAUSTED, "the answer has %zu bytes", length);
        ttrpc_fail(stream, &failure);
    } else {
        protobuf_c_message_pack(message, payload);
        Ttrpc__Response response = TTRPC__RESPONSE__INIT;
        response.payload.data = payload;
        response.payload.len = length;
        send_response(stream, &response);
    }
    free(payload);
}

void ttrpc_fail(struct ttrpc_stream stream, const struct failure *failure) {
    Ttrpc__Status status = TTRPC__STATUS__INIT;
    status.code = (int32_t)failure->code;
    status.message = (char *)failure->message;
    Ttrpc__Response response = TTRPC__RESPONSE__INIT;
    response.status = &status;
    send_response(stream, &response);
}

static struct ttrpc_stream current_stream(void) {
    return (struct ttrpc_stream){connection.number, connection.header.stream};
}

static void refuse(enum status_code code, const char *why) {
    struct failure failure;
    fail(&failure, code, "%s", why);
    ttrpc_fail(current_stream(), &failure);
}

static void header_received(void) {
    uint32_t words[2];
    memcpy(words, connection.header_bytes, sizeof words);
    connection.header = (struct header){
        .length = ntohl(words[0]),
        .stream = ntohl(words[1]),
        .type = connection.header_bytes[8],
        .flags = connection.header_bytes[9],
    };
    connection.payload_size = 0;
    if (connection.header.type != TYPE_REQUEST) {
        return; // responses and stream data are not for a server of unary calls: skipped
    }
    if (connection.header.length > TTRPC_MESSAGE_MAX) {
        refuse(STATUS_RESOURCE_EXHAUSTED, "the request is longer than 4 MiB");
        return;
    }
    // Client streams are odd and rise (PROTOCOL.md, "Stream ID").
    if (connection.header.stream % 2 == 0 || connection.header.stream <= connection.last_stream) {
        refuse(STATUS_INVALID_ARGUMENT, "the stream id is not odd and higher than the last");
        return;
    }
    connection.last_stream = connection.header.stream;
    connection.payload = malloc((size_t)connection.header.length + 1);
    if (connection.payload == NULL) {
        refuse(STATUS_RESOURCE_EXHAUSTED, "no memory for the request");
    }
}

static void frame_received(void) {
    if (connection.payload != NULL) {
        Ttrpc__Request *request =
            ttrpc__request__unpack(NULL, connection.header.length, connection.payload);
        free(connection.payload);
        connection.payload = NULL;
        if (request == NULL) {
            refuse(STATUS_INVALID_ARGUMENT, "the request is not a ttrpc.Request");
        } else {
            service_call(current_stream(), request);
        }
    }
    connection.header_size = 0;
}

static void connection_ended(const char *why) {
    log_error("the control connection has ended: %s", why);
    loop_remove(connection.fd);
    pthread_mutex_lock(&send_lock); // whoever is sending has failed
    close(connection.fd);
    connection.number++;
    pthread_mutex_unlock(&send_lock);
    free(connection.payload);
    connection.payload = NULL;
    connection.header_size = 0;
    connection.last_stream = 0;
    connection.ended();
}

bool ttrpc_has_ended(int milliseconds) {
    struct pollfd control = {.fd = connection.fd, .events = POLLRDHUP};
    return poll(&control, 1, milliseconds) == 1;
}

static void connection_ready(struct source *source, uint32_t events) {
    (void)source;
    (void)events;
    // Enough for one pass: the loop comes back for the rest, so that a long request does not hold
    // up relays.
    for (int pass = 0; pass < 4; pass++) {
        static uint8_t skipped[4096];
        uint8_t *target;
        size_t wanted;
        if (connection.header_size < HEADER_SIZE) {
            target = connection.header_bytes + connection.header_size;
            wanted = HEADER_SIZE - connection.header_size;
        } else {
            wanted = connection.header.length - connection.payload_size;
            if (connection.payload != NULL) {
                target = connection.payload + connection.payload_size;
            } else {
                target = skipped;
                wanted = wanted < sizeof skipped ? wanted : sizeof skipped;
            }
        }
        ssize_t n = recv(connection.fd, target, wanted, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            connection_ended(n < 0 ? strerror(errno) : "closed");
            return;
        }
        if (connection.header_size < HEADER_SIZE) {
            connection.header_size += (size_t)n;
            if (connection.header_size < HEADER_SIZE) {
                continue;
            }
            header_received();
        } else {
            connection.payload_size += (size_t)n;
        }
        if (connection.payload_size == connection.header.length) {
            frame_received();
        }
    }
}

void ttrpc_serve(int fd, void (*ended)(void)) {
    connection.fd = fd;
    connection.ended = ended;
    connection.source.ready = connection_ready;
    if (!loop_add(fd, EPOLLIN, &connection.source)) {
        log_fatal("cannot watch the control connection: %s", strerror(errno));
        platform_power_off();
    }
}
