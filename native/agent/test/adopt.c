// A machine that goes on elsewhere: all connections end at once, and nothing is lost.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "containers.h"
#include "failure.h"
#include "tests.h"

static const struct ports NONE;

static char *text_of(int fd) {
    size_t length;
    return read_to_end(fd, &length);
}

static bool reads(int fd, const char *wanted) {
    char text[64] = "";
    size_t length = strlen(wanted);
    return recv(fd, text, length, MSG_WAITALL) == (ssize_t)length && strcmp(text, wanted) == 0;
}

// Waits for as many entries in /proc; all but processes stay as they are.
static bool processes_become(int count) {
    for (int i = 0; i < 500 && agent_entries("/proc") != count; i++) {
        usleep(10000);
    }
    return agent_entries("/proc") == count;
}

static void refusals(void) {
    section("nothing to adopt");
    start_sleeper("c");
    CHECK(adopt("nobody", NONE) == STATUS_NOT_FOUND);
    CHECK(adopt("", NONE) == STATUS_NOT_FOUND);
    CHECK(adopt("c", NONE) == STATUS_FAILED_PRECONDITION);
    agent_cut_off(NULL, 0);
    CHECK(adopt("c", (struct ports){.terminal = true}) == STATUS_INVALID_ARGUMENT);
    CHECK(adopt("c", (struct ports){.out = 9}) == STATUS_INTERNAL); // nobody listens
    CHECK(adopt("c", NONE) == 0);
    CHECK(adopt("c", NONE) == STATUS_FAILED_PRECONDITION);
    end_sleeper("c");
}

static void stream_ids_begin_anew(void) {
    size_t length;
    uint8_t *frame = pack_call(1, "rund.agent.v1.Agent", "Hello", NULL, 0, &length);
    send_all(control, frame, length);
    CHECK(await(1, NULL).code == 0);
    free(frame);
}

static void output(void) {
    section("output before, while and after all connections are cut, and who waits");
    enum { LAST = 300000 };
    char *spec = spec_json("count", "300000", false, 0);
    char *process = process_json("sleep", "", false, 0);
    int out = port_listen(2001);
    CHECK(create("c", spec, (struct ports){.out = 2001}) == 0);
    out = port_accept(out);
    CHECK(ref("Start", "c", "") == 0);
    CHECK(create_exec("c", "created", process, NONE) == 0);
    int count = agent_entries("/proc");
    CHECK(create_exec("c", "e", process, NONE) == 0);
    CHECK(ref("Start", "c", "e") == 0);
    CHECK(processes_become(count + 1));
    uint32_t waits[] = {begin_ref("Wait", "c", ""), begin_ref("Wait", "c", "e"),
                        begin_wait_oom("c")};
    send_all(control, "half of a header", 5);
    agent_cut_off(NULL, 0);
    char *text = text_of(out); // what the agent had handed over
    stream_ids_begin_anew();
    usleep(50000);

    out = port_listen(2001);
    CHECK(adopt("c", (struct ports){.out = 2001}) == 0);
    out = port_accept(out);
    CHECK(ref("Wait", "c", "e") == STATUS_NOT_FOUND);
    CHECK(ref("Start", "c", "created") == STATUS_NOT_FOUND);
    CHECK(processes_become(count));
    uint32_t oom = begin_wait_oom("c");
    uint32_t wait = begin_ref("Wait", "c", "");
    CHECK(!answered_within(wait, 200));
    char *rest = text_of(out);
    CHECK(await_exit(wait) == 0);
    CHECK(ref("Delete", "c", "") == 0);
    CHECK(await(oom, NULL).code == STATUS_NOT_FOUND);
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        CHECK(!answered_within(waits[i], 0));
    }

    size_t handed_over = strlen(text);
    CHECK(handed_over > 0 && strlen(rest) > 0);
    char *line = text = realloc(text, handed_over + strlen(rest) + 1);
    strcpy(text + handed_over, rest);
    long next = 1;
    while (*line != '\0' && strtol(line, &line, 10) == next && *line == '\n') {
        next++;
        line++;
    }
    CHECK(next == LAST + 1 && *line == '\0');
    free(text);
    free(rest);
    free(process);
    free(spec);
}

static void input(bool terminal) {
    section(terminal ? "a terminal that is cut off" : "input that is cut off");
    struct ports ports = {.in = 2000, .out = 2001, .terminal = terminal};
    char *spec = spec_json("cat", "", terminal, 0);
    int in = port_listen(2000), out = port_listen(2001);
    CHECK(create("c", spec, ports) == 0);
    in = port_accept(in);
    out = port_accept(out);
    CHECK(ref("Start", "c", "") == 0);
    send_all(in, "one\n", 4);
    CHECK(reads(out, terminal ? "one\r\none\r\n" : "one\n"));
    for (int round = 0; round < 2; round++) {
        agent_cut_off((int[]){in, out}, 2);
        in = port_listen(2000);
        out = port_listen(2001);
        CHECK(adopt("c", ports) == 0);
        in = port_accept(in);
        out = port_accept(out);
        send_all(in, "two\n", 4);
        CHECK(reads(out, terminal ? "two\r\ntwo\r\n" : "two\n"));
    }
    uint32_t wait = begin_ref("Wait", "c", "");
    CHECK(!answered_within(wait, 50));
    if (terminal) {
        send_all(in, "\x04", 1);
    }
    close(in); // alone: an end of input like any other
    CHECK(await_exit(wait) == 0);
    free(text_of(out));
    CHECK(ref("Delete", "c", "") == 0);
    free(spec);
}

static void to_nowhere(void) {
    section("without streams after the cut: input ends, output is thrown away");
    char *spec = spec_json("cat", "", false, 0);
    int in = port_listen(2000);
    CHECK(create("c", spec, (struct ports){.in = 2000}) == 0);
    in = port_accept(in);
    CHECK(ref("Start", "c", "") == 0);
    agent_cut_off(&in, 1);
    CHECK(adopt("c", NONE) == 0);
    CHECK(wait_exit("c", "") == 0);
    CHECK(ref("Delete", "c", "") == 0);
    free(spec);

    spec = spec_json("flood", "4194304", false, 0);
    int out = port_listen(2001);
    CHECK(create("c", spec, (struct ports){.out = 2001}) == 0);
    out = port_accept(out);
    CHECK(ref("Start", "c", "") == 0);
    agent_cut_off(&out, 1);
    CHECK(adopt("c", NONE) == 0);
    CHECK(wait_exit("c", "") == 0);
    CHECK(ref("Delete", "c", "") == 0);
    free(spec);
}

static void not_running(void) {
    section("containers that are cut off before their start, while they end and after that");
    char *spec = spec_json("say", "hello", false, 0);
    int out = port_listen(2001);
    CHECK(create("c", spec, (struct ports){.out = 2001}) == 0);
    out = port_accept(out);
    agent_cut_off(&out, 1);
    out = port_listen(2001);
    CHECK(adopt("c", (struct ports){.out = 2001}) == 0);
    out = port_accept(out);
    agent_cut_off(&out, 1);
    CHECK(ref("Start", "c", "") == 0);
    uint32_t wait = begin_ref("Wait", "c", "");
    CHECK(!answered_within(wait, 300)); // there is output that nobody has
    for (int round = 0; round < 2; round++) {
        int listener = port_listen(2001);
        CHECK(adopt("c", (struct ports){.out = 2001}) == 0);
        out = port_accept(listener);
        CHECK(round > 0 || await_exit(wait) == 0);
        char *text = text_of(out);
        CHECK(strcmp(text, round == 0 ? "out hello\n" : "") == 0);
        free(text);
        agent_cut_off(NULL, 0);
        CHECK(wait_exit("c", "") == 0);
    }
    CHECK(ref("Delete", "c", "") == 0);
    free(spec);
}

// Connects until the next one would have to wait.
static void fill(int listener) {
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    getsockname(listener, (struct sockaddr *)&address, &size);
    bool full = false;
    while (!full) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        full = connect(fd, (struct sockaddr *)&address, size) != 0;
        close(fd);
    }
    fcntl(listener, F_SETFL, O_NONBLOCK);
}

// Lets the agent connect at last.
static bool goes_away(int listener, const char *id, const char *exec_id) {
    bool gone = false;
    for (int i = 0; i < 500 && !gone; i++) {
        close(accept(listener, NULL, NULL));
        usleep(10000);
        gone = send_signal(id, exec_id, 0, false) == STATUS_NOT_FOUND;
    }
    close(listener);
    return gone;
}

static void calls_under_way(void) {
    section("calls that are under way when the connection is cut: nobody gets the answer");
    Rund__Agent__V1__Stdio stdio = RUND__AGENT__V1__STDIO__INIT;
    stdio.stdout_port = 2001;
    char *process = process_json("sleep", "", false, 0);
    Rund__Agent__V1__CreateExecRequest exec = RUND__AGENT__V1__CREATE_EXEC_REQUEST__INIT;
    exec.container_id = "c";
    exec.exec_id = "slow";
    exec.process_json.data = (uint8_t *)process;
    exec.process_json.len = strlen(process);
    exec.stdio = &stdio;
    start_sleeper("c");
    int count = agent_entries("/proc");
    int listener = port_listen(2001);
    fill(listener);
    uint32_t slow = begin("CreateExec", &exec.base);
    CHECK(!answered_within(slow, 50));
    agent_cut_off(NULL, 0);
    CHECK(adopt("c", NONE) == 0);
    CHECK(ref("Delete", "c", "slow") == STATUS_FAILED_PRECONDITION);
    CHECK(goes_away(listener, "c", "slow"));
    CHECK(!answered_within(slow, 100));

    CHECK(create_exec("c", "e", process, NONE) == 0);
    slow = begin_ref("Start", "c", "e");
    agent_cut_off(NULL, 0);
    CHECK(adopt("c", NONE) == 0);
    CHECK(processes_become(count));
    CHECK(ref("Wait", "c", "e") == STATUS_NOT_FOUND);
    CHECK(!answered_within(slow, 100));
    end_sleeper("c");
    free(process);

    char *spec = spec_json("sleep", "", false, 0);
    Rund__Agent__V1__CreateContainerRequest container =
        RUND__AGENT__V1__CREATE_CONTAINER_REQUEST__INIT;
    container.container_id = "c";
    container.spec_json.data = (uint8_t *)spec;
    container.spec_json.len = strlen(spec);
    container.stdio = &stdio;
    listener = port_listen(2001);
    fill(listener);
    slow = begin("CreateContainer", &container.base);
    CHECK(!answered_within(slow, 50));
    agent_cut_off(NULL, 0);
    CHECK(adopt("c", NONE) == STATUS_FAILED_PRECONDITION);
    CHECK(goes_away(listener, "c", ""));
    CHECK(!answered_within(slow, 100));
    free(spec);
}

void test_adopt(void) {
    refusals();
    output();
    input(false);
    input(true);
    to_nowhere();
    not_running();
    calls_under_way();
}
