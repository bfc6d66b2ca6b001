// What the tests have in common: an agent in namespaces of its own, and a client.
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "rund/agent/v1/agent.pb-c.h"
#include "ttrpc.pb-c.h"

// Counts a check and prints those that fail.
#define CHECK(condition) check((condition), #condition, __FILE__, __LINE__)
bool check(bool passed, const char *what, const char *file, int line);
// Prints what is about to be tested.
void section(const char *name);
// Prints the count; what main returns.
int harness_result(void);

// The agent, and the directory that plays the host. control is the connection to it.
extern pid_t agent_pid;
extern int control;
void agent_start(const char *program, const char *crun);
// What the guest sees as a share of this name.
void host_share(const char *name, const char *target);
// Ends the control connection, after the streams and before the agent sees any of it, and takes the
// agent's next one.
void agent_cut_off(const int *streams, size_t count);
// Closes the control connection; the exit status.
int agent_end(void);
int agent_open_files(void);
// Entries of a directory as the agent sees it.
int agent_entries(const char *directory);

struct answer {
    int code; // 0 is good
    char message[1024];
    ProtobufCMessage *response; // NULL unless good
};

void send_frame(uint32_t stream, uint8_t type, const void *payload, size_t length);
void send_all(int fd, const void *bytes, size_t length);
uint32_t next_stream(void);
// The frame of a call, for tests that want to send it in their own way; to be freed.
uint8_t *pack_call(uint32_t stream, const char *service, const char *method, const void *payload,
                   size_t payload_length, size_t *length);
// The answer on a stream; those of other streams that come before are kept.
struct answer await(uint32_t stream, const ProtobufCMessageDescriptor *type);
bool answered_within(uint32_t stream, int milliseconds);

uint32_t begin(const char *method, const ProtobufCMessage *request);
struct answer call(const char *method, const ProtobufCMessage *request,
                   const ProtobufCMessageDescriptor *type);
// The code alone.
int call_code(const char *method, const ProtobufCMessage *request);

// A port of the host: listens, and takes the agent's connection.
int port_listen(uint32_t port);
int port_accept(int listener);
// Everything until the end of the stream; to be freed.
char *read_to_end(int fd, size_t *length);
