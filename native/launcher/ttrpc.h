// One unary call of ttrpc (containerd/ttrpc PROTOCOL.md) over a unix socket.
#ifndef RUND_TTRPC_H
#define RUND_TTRPC_H

#include "message.h"

enum outcome {
    ANSWERED,     // `payload` is the answer
    REFUSED,      // the engine answered with an error: `text` is its message
    NOT_SERVED,   // nobody listens at the path
    HUNG_UP,      // somebody listened and closed the connection unanswered
    NOT_AN_ENGINE // somebody listens who does not speak ttrpc, or not in time: `text` says who
};

struct reply {
    enum outcome outcome;
    struct bytes payload; // in `frame`
    char text[1024];
    uint8_t frame[65536];
};

// Calls service/method. Waits at most `seconds` for each step of the exchange. A path that exists
// and is no socket ends the program, since nothing but its removal helps.
void call(const char *socket_path, const char *service, const char *method,
          const struct message *request, unsigned seconds, struct reply *reply);

#endif
