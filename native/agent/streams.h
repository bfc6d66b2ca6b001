// The standard streams of one process: connections to the host, the pipes or terminal that the
// process sees, and the relays between them.
//
// The process never gets a connection itself: a socket cannot be opened through /dev/stdout.
#pragma once

#include <stdbool.h>

#include "console.h"
#include "failure.h"
#include "relay.h"
#include "rund/agent/v1/agent.pb-c.h"

struct streams {
    bool terminal;
    int host[3];  // connections that no relay owns yet, -1 for none
    int ours[3];  // the agent's ends of the pipes, likewise
    int child[3]; // the process's ends, open from streams_open to streams_attach
    int master;   // of the terminal, for its size
    struct console console;
    struct relay *relays[3];
};

// Connects to the host. Without the lock.
bool streams_connect(struct streams *streams, const Rund__Agent__V1__Stdio *wanted,
                     struct failure *failure);
// Makes the pipes or the console socket, for crun to be run with. Without the lock.
bool streams_open(struct streams *streams, struct failure *failure);
// Starts to copy, once crun has made the process. ended is called whenever a stream ends. Needs the
// lock.
bool streams_attach(struct streams *streams, void (*ended)(void *owner), void *owner,
                    struct failure *failure);

// The rest needs the lock.
bool streams_output_ended(const struct streams *streams);
void streams_end_when_empty(struct streams *streams);
void streams_stop_stdin(struct streams *streams);
// The connections are gone: the process's ends stay as they are, and nothing moves.
void streams_suspend(struct streams *streams);
// Goes on with the connections of another, which keeps those for which there is no use.
void streams_resume(struct streams *streams, struct streams *connected);
bool streams_resize(struct streams *streams, unsigned rows, unsigned columns);
void streams_close(struct streams *streams);
