#define _GNU_SOURCE
#include "harness.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEPT_MAX = 64, PATIENCE_MS = 60000 };

pid_t agent_pid;
int control;

static int passed;
static int failed;
static char host[64];
static char shares[96];
static struct {
    uint32_t stream;
    Ttrpc__Response *response;
} kept[KEPT_MAX];

bool check(bool good, const char *what, const char *file, int line) {
    if (good) {
        passed++;
    } else {
        failed++;
        printf("  FAILED %s:%d: %s\n", file, line, what);
    }
    return good;
}

void section(const char *name) {
    printf("%s\n", name);
    fflush(stdout);
}

int harness_result(void) {
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}

static void die(const char *what) {
    perror(what);
    harness_result();
    exit(1);
}

int port_listen(uint32_t port) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%u", host, port);
    unlink(address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 4) != 0) {
        die("listening for the agent");
    }
    return fd;
}

static void wait_for_input(int fd, const char *what) {
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    if (poll(&waiting, 1, PATIENCE_MS) != 1) {
        die(what);
    }
}

int port_accept(int listener) {
    wait_for_input(listener, "waiting for the agent to connect");
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    close(listener);
    return fd;
}

void agent_start(const char *program, const char *crun) {
    strcpy(host, "/tmp/rund-agent-test.XXXXXX");
    if (mkdtemp(host) == NULL) {
        die(host);
    }
    snprintf(shares, sizeof shares, "%s/shares", host);
    mkdir(shares, 0700);
    int listener = port_listen(1024);
    // Like fork(2), but the child is PID 1 of a namespace; unshare(2) would keep this process from
    // making threads.
    agent_pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
    if (agent_pid < 0) {
        die("making namespaces, which takes root");
    }
    if (agent_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWNET) != 0) {
            die("making namespaces, which takes root");
        }
        execl(program, program, host, crun, (char *)NULL);
        die(program);
    }
    control = port_accept(listener);
}

void host_share(const char *name, const char *target) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", shares, name);
    if (symlink(target, path) != 0) {
        die(path);
    }
}

static void remove_files(const char *directory) {
    DIR *entries = opendir(directory);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        unlinkat(dirfd(entries), entry->d_name, 0);
    }
    closedir(entries);
    rmdir(directory);
}

void agent_cut_off(const int *streams, size_t count) {
    int listener = port_listen(1024);
    kill(agent_pid, SIGSTOP);
    waitpid(agent_pid, NULL, WUNTRACED);
    for (size_t i = 0; i < count; i++) {
        close(streams[i]);
    }
    close(control);
    kill(agent_pid, SIGCONT);
    control = port_accept(listener);
}

int agent_end(void) {
    int status;
    close(control);
    waitpid(agent_pid, &status, 0);
    remove_files(shares);
    remove_files(host);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int count_entries(const char *path) {
    DIR *entries = opendir(path);
    if (entries == NULL) {
        return -1;
    }
    int count = -2; // "." and ".."
    while (readdir(entries) != NULL) {
        count++;
    }
    closedir(entries);
    return count;
}

int agent_open_files(void) {
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/fd", agent_pid);
    return count_entries(path);
}

int agent_entries(const char *directory) {
    char path[96];
    snprintf(path, sizeof path, "/proc/%d/root%s", agent_pid, directory);
    return count_entries(path);
}

void send_all(int fd, const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t n = send(fd, at, length, MSG_NOSIGNAL);
        if (n <= 0) {
            die("sending to the agent");
        }
        at += n;
        length -= (size_t)n;
    }
}

static void put_header(uint8_t header[10], uint32_t length, uint32_t stream, uint8_t type) {
    uint32_t words[2] = {htonl(length), htonl(stream)};
    memcpy(header, words, sizeof words);
    header[8] = type;
    header[9] = 0;
}

void send_frame(uint32_t stream, uint8_t type, const void *payload, size_t length) {
    uint8_t header[10];
    put_header(header, (uint32_t)length, stream, type);
    send_all(control, header, sizeof header);
    send_all(control, payload, length);
}

uint32_t next_stream(void) {
    static uint32_t stream = -1u;
    return stream += 2;
}

uint8_t *pack_call(uint32_t stream, const char *service, const char *method, const void *payload,
                   size_t payload_length, size_t *length) {
    Ttrpc__Request request = TTRPC__REQUEST__INIT;
    request.service = (char *)service;
    request.method = (char *)method;
    request.payload.data = (uint8_t *)payload;
    request.payload.len = payload_length;
    *length = 10 + ttrpc__request__get_packed_size(&request);
    uint8_t *frame = malloc(*length);
    put_header(frame, (uint32_t)*length - 10, stream, 1);
    ttrpc__request__pack(&request, frame + 10);
    return frame;
}

static void receive(void *bytes, size_t length) {
    char *at = bytes;
    while (length > 0) {
        wait_for_input(control, "waiting for an answer");
        ssize_t n = recv(control, at, length, 0);
        if (n <= 0) {
            die("the agent has gone");
        }
        at += n;
        length -= (size_t)n;
    }
}

static Ttrpc__Response *receive_frame(uint32_t *stream) {
    uint8_t header[10];
    receive(header, sizeof header);
    uint32_t words[2];
    memcpy(words, header, sizeof words);
    uint32_t length = ntohl(words[0]);
    *stream = ntohl(words[1]);
    uint8_t *payload = malloc(length + 1);
    receive(payload, length);
    Ttrpc__Response *response = ttrpc__response__unpack(NULL, length, payload);
    free(payload);
    if (header[8] != 2 || response == NULL) {
        die("the answer is not a ttrpc.Response");
    }
    return response;
}

static Ttrpc__Response *take_kept(uint32_t stream) {
    for (int i = 0; i < KEPT_MAX; i++) {
        if (kept[i].response != NULL && kept[i].stream == stream) {
            Ttrpc__Response *response = kept[i].response;
            kept[i].response = NULL;
            return response;
        }
    }
    return NULL;
}

static void keep(uint32_t stream, Ttrpc__Response *response) {
    for (int i = 0; i < KEPT_MAX; i++) {
        if (kept[i].response == NULL) {
            kept[i].stream = stream;
            kept[i].response = response;
            return;
        }
    }
    die("too many answers that nobody waits for");
}

bool answered_within(uint32_t stream, int milliseconds) {
    for (int i = 0; i < KEPT_MAX; i++) {
        if (kept[i].response != NULL && kept[i].stream == stream) {
            return true;
        }
    }
    struct pollfd waiting = {.fd = control, .events = POLLIN};
    while (poll(&waiting, 1, milliseconds) == 1) {
        uint32_t other;
        Ttrpc__Response *response = receive_frame(&other);
        keep(other, response);
        if (other == stream) {
            return true;
        }
    }
    return false;
}

struct answer await(uint32_t stream, const ProtobufCMessageDescriptor *type) {
    Ttrpc__Response *response;
    while ((response = take_kept(stream)) == NULL) {
        uint32_t other;
        Ttrpc__Response *received = receive_frame(&other);
        keep(other, received);
    }
    struct answer answer = {0};
    if (response->status != NULL) {
        answer.code = response->status->code;
        snprintf(answer.message, sizeof answer.message, "%s", response->status->message);
    }
    if (answer.code == 0 && type != NULL) {
        answer.response =
            protobuf_c_message_unpack(type, NULL, response->payload.len, response->payload.data);
    }
    ttrpc__response__free_unpacked(response, NULL);
    return answer;
}

uint32_t begin(const char *method, const ProtobufCMessage *request) {
    size_t payload_length = protobuf_c_message_get_packed_size(request);
    uint8_t *payload = malloc(payload_length + 1);
    protobuf_c_message_pack(request, payload);
    uint32_t stream = next_stream();
    size_t length;
    uint8_t *frame =
        pack_call(stream, "rund.agent.v1.Agent", method, payload, payload_length, &length);
    send_all(control, frame, length);
    free(frame);
    free(payload);
    return stream;
}

struct answer call(const char *method, const ProtobufCMessage *request,
                   const ProtobufCMessageDescriptor *type) {
    return await(begin(method, request), type);
}

int call_code(const char *method, const ProtobufCMessage *request) {
    return call(method, request, NULL).code;
}

char *read_to_end(int fd, size_t *length) {
    size_t capacity = 4096;
    char *bytes = malloc(capacity);
    *length = 0;
    for (;;) {
        if (*length + 1 == capacity) {
            bytes = realloc(bytes, capacity *= 2);
        }
        wait_for_input(fd, "waiting for the end of a stream");
        ssize_t n = read(fd, bytes + *length, capacity - 1 - *length);
        if (n <= 0) {
            break;
        }
        *length += (size_t)n;
    }
    bytes[*length] = '\0';
    close(fd);
    return bytes;
}
