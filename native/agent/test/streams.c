// Standard streams: what goes in comes out, and who is slow hurts nobody else.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "containers.h"
#include "failure.h"
#include "tests.h"

static char *text_of(int fd) {
    size_t length;
    return read_to_end(fd, &length);
}

static void out_and_err(void) {
    section("stdout and stderr of an init and of an exec, as root and not");
    for (int user = 0; user <= 1000; user += 1000) {
        char *spec = spec_json("say", "hello", false, user);
        int out = port_listen(2001), err = port_listen(2002);
        CHECK(create("c", spec, (struct ports){.out = 2001, .err = 2002}) == 0);
        out = port_accept(out);
        err = port_accept(err);
        CHECK(ref("Start", "c", "") == 0);
        CHECK(wait_exit("c", "") == 0);
        char *text = text_of(out);
        CHECK(strcmp(text, "out hello\n") == 0);
        free(text);
        text = text_of(err);
        CHECK(strcmp(text, "err hello\n") == 0);
        free(text);
        CHECK(ref("Delete", "c", "") == 0);
        free(spec);
    }
    start_sleeper("c");
    for (int user = 0; user <= 1000; user += 1000) {
        char *process = process_json("open-stdout", "", false, user);
        int out = port_listen(2001);
        CHECK(run_exec("c", "e", process, (struct ports){.out = 2001}) == 0);
        char *text = text_of(port_accept(out));
        CHECK(strcmp(text, "opened\n") == 0);
        free(text);
        free(process);
    }
    end_sleeper("c");
}

struct feed {
    int fd;
    const char *bytes;
    size_t length;
};

static void *feed(void *argument) {
    struct feed *feed = argument;
    send_all(feed->fd, feed->bytes, feed->length);
    shutdown(feed->fd, SHUT_WR);
    return NULL;
}

static void through_cat(void) {
    section("16 MiB of random bytes through stdin and stdout");
    size_t length = 16 << 20;
    char *bytes = malloc(length);
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (char)random();
    }
    char *spec = spec_json("cat", "", false, 0);
    int in = port_listen(2000), out = port_listen(2001);
    CHECK(create("c", spec, (struct ports){.in = 2000, .out = 2001}) == 0);
    in = port_accept(in);
    out = port_accept(out);
    CHECK(ref("Start", "c", "") == 0);
    pthread_t thread;
    struct feed input = {in, bytes, length};
    pthread_create(&thread, NULL, feed, &input);
    size_t received;
    char *output = read_to_end(out, &received);
    pthread_join(thread, NULL);
    CHECK(received == length && memcmp(output, bytes, length) == 0);
    CHECK(wait_exit("c", "") == 0);
    CHECK(ref("Delete", "c", "") == 0);
    close(in);
    free(output);
    free(bytes);
    free(spec);
}

static void slow_reader(void) {
    section("a reader that stands still, and one that goes away");
    start_sleeper("c");
    char *big = process_json("flood", "4194304", false, 0);
    char *small = process_json("say", "x", false, 0);
    int stuck = port_listen(2001);
    CHECK(create_exec("c", "stuck", big, (struct ports){.out = 2001}) == 0);
    stuck = port_accept(stuck);
    CHECK(ref("Start", "c", "stuck") == 0);
    uint32_t wait = begin_ref("Wait", "c", "stuck");
    int other = port_listen(2002);
    CHECK(run_exec("c", "other", small, (struct ports){.out = 2002}) == 0);
    char *text = text_of(port_accept(other));
    CHECK(strcmp(text, "out x\n") == 0);
    CHECK(!answered_within(wait, 200)); // held back, not thrown away
    size_t length;
    free(read_to_end(stuck, &length));
    CHECK(length == 4194304);
    CHECK(await_exit(wait) == 0);

    int gone = port_listen(2001);
    CHECK(create_exec("c", "gone", big, (struct ports){.out = 2001}) == 0);
    close(port_accept(gone));
    CHECK(ref("Start", "c", "gone") == 0);
    CHECK(wait_exit("c", "gone") == 0); // not SIGPIPE
    end_sleeper("c");
    free(text);
    free(big);
    free(small);
}

static void left_behind(void) {
    section("an exec that leaves a child with its stdout behind");
    start_sleeper("c");
    char *process = process_json("orphan", "", false, 0);
    int out = port_listen(2001);
    CHECK(create_exec("c", "o", process, (struct ports){.out = 2001}) == 0);
    out = port_accept(out);
    CHECK(ref("Start", "c", "o") == 0);
    uint32_t wait = begin_ref("Wait", "c", "o");
    CHECK(answered_within(wait, 5000));
    CHECK(await_exit(wait) == 3);
    char *text = text_of(out);
    CHECK(strcmp(text, "parent\n") == 0);
    CHECK(ref("Delete", "c", "o") == 0);
    end_sleeper("c");
    free(text);
    free(process);
}

static void resize(const char *exec_id, unsigned rows, unsigned columns) {
    Rund__Agent__V1__ResizeTerminalRequest request = RUND__AGENT__V1__RESIZE_TERMINAL_REQUEST__INIT;
    request.container_id = "c";
    request.exec_id = (char *)exec_id;
    request.rows = rows;
    request.columns = columns;
    CHECK(call_code("ResizeTerminal", &request.base) == 0);
}

// Reads until the terminal has said this.
static bool says(int fd, const char *wanted) {
    char text[1024] = "";
    size_t length = 0;
    while (strstr(text, wanted) == NULL && length < sizeof text - 1) {
        ssize_t n = read(fd, text + length, sizeof text - 1 - length);
        if (n <= 0) {
            return false;
        }
        length += (size_t)n;
        text[length] = '\0';
    }
    return strstr(text, wanted) != NULL;
}

static void terminal(void) {
    section("a terminal for an init and for an exec, with resizing");
    struct ports ports = {.in = 2000, .out = 2001, .terminal = true};
    char *spec = spec_json("watch-size", "", true, 0);
    char *process = process_json("cat", "", true, 0);
    int in = port_listen(2000), out = port_listen(2001);
    CHECK(create("c", spec, ports) == 0);
    in = port_accept(in);
    out = port_accept(out);
    resize("", 24, 80);
    CHECK(ref("Start", "c", "") == 0);
    CHECK(says(out, "24 x 80"));
    resize("", 30, 100);
    CHECK(says(out, "30 x 100"));

    int exec_in = port_listen(2000), exec_out = port_listen(2001);
    CHECK(create_exec("c", "e", process, ports) == 0);
    exec_in = port_accept(exec_in);
    exec_out = port_accept(exec_out);
    CHECK(ref("Start", "c", "e") == 0);
    send_all(exec_in, "typed\n\x04", 7);
    CHECK(says(exec_out, "typed\r\ntyped\r\n")); // its echo, and cat's answer
    CHECK(wait_exit("c", "e") == 0);
    CHECK(ref("Delete", "c", "e") == 0);

    resize("", 50, 132);
    CHECK(wait_exit("c", "") == 0);
    char *text = text_of(out);
    CHECK(strstr(text, "50 x 132") != NULL);
    CHECK(ref("Delete", "c", "") == 0);
    close(in);
    close(exec_in);
    close(exec_out);
    free(text);
    free(spec);
    free(process);
}

void test_streams(void) {
    out_and_err();
    through_cat();
    slow_reader();
    left_behind();
    terminal();
}
