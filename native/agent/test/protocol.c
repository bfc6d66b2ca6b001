// ttrpc as such: frames that are cut up, too long, or nonsense.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failure.h"
#include "harness.h"
#include "tests.h"

static const char SERVICE[] = "rund.agent.v1.Agent";

static bool says_hello(void) {
    Rund__Agent__V1__HelloRequest request = RUND__AGENT__V1__HELLO_REQUEST__INIT;
    struct answer answer =
        call("Hello", &request.base, &rund__agent__v1__hello_response__descriptor);
    if (answer.response == NULL) {
        return false;
    }
    Rund__Agent__V1__HelloResponse *hello = (Rund__Agent__V1__HelloResponse *)answer.response;
    bool good = hello->kernel_release[0] != '\0' && hello->agent_version[0] != '\0' &&
                hello->memory_total_bytes > hello->memory_available_bytes &&
                hello->memory_available_bytes > 0 && hello->online_cpus > 0 &&
                hello->main_nanos > 0 && hello->ready_nanos >= hello->main_nanos;
    protobuf_c_message_free_unpacked(answer.response, NULL);
    return good;
}

static void cut_up(void) {
    section("a request byte by byte, and two in one packet");
    size_t length;
    uint32_t stream = next_stream();
    uint8_t *frame = pack_call(stream, SERVICE, "Hello", NULL, 0, &length);
    for (size_t i = 0; i < length; i++) {
        send_all(control, frame + i, 1);
        usleep(200);
    }
    CHECK(await(stream, NULL).code == 0);
    free(frame);

    uint32_t streams[2] = {next_stream(), next_stream()};
    uint8_t packet[512];
    size_t total = 0;
    for (int i = 0; i < 2; i++) {
        frame = pack_call(streams[i], SERVICE, "Hello", NULL, 0, &length);
        memcpy(packet + total, frame, length);
        total += length;
        free(frame);
    }
    send_all(control, packet, total);
    CHECK(await(streams[0], NULL).code == 0);
    CHECK(await(streams[1], NULL).code == 0);
}

static void too_long(void) {
    section("requests of 4 MiB and more");
    size_t size = 5 << 20;
    char *zeros = calloc(1, size);
    uint32_t stream = next_stream();
    send_frame(stream, 1, zeros, size);
    CHECK(await(stream, NULL).code == STATUS_RESOURCE_EXHAUSTED);
    stream = next_stream();
    send_frame(stream, 1, zeros, 4 << 20);
    CHECK(await(stream, NULL).code == STATUS_INVALID_ARGUMENT);
    free(zeros);
    CHECK(says_hello());
}

static int code_of(const char *service, const char *method, const void *payload, size_t size) {
    size_t length;
    uint32_t stream = next_stream();
    uint8_t *frame = pack_call(stream, service, method, payload, size, &length);
    send_all(control, frame, length);
    free(frame);
    return await(stream, NULL).code;
}

static void nonsense(void) {
    section("what is no request");
    CHECK(code_of(SERVICE, "Nonsense", NULL, 0) == STATUS_UNIMPLEMENTED);
    CHECK(code_of("nobody", "Hello", NULL, 0) == STATUS_UNIMPLEMENTED);
    CHECK(code_of("", "", NULL, 0) == STATUS_UNIMPLEMENTED);
    CHECK(code_of(SERVICE, "Hello", "\xff\xff\xff", 3) == STATUS_INVALID_ARGUMENT);
    CHECK(code_of(SERVICE, "Start", "\x0a\xff\xff\xff\xff\x0f", 6) == STATUS_INVALID_ARGUMENT);

    uint32_t stream = next_stream();
    send_frame(stream, 1, "\xff\xff", 2);
    CHECK(await(stream, NULL).code == STATUS_INVALID_ARGUMENT);
    send_frame(stream, 1, "", 0); // used already
    CHECK(await(stream, NULL).code == STATUS_INVALID_ARGUMENT);
    send_frame(2, 1, "", 0);
    CHECK(await(2, NULL).code == STATUS_INVALID_ARGUMENT);
    send_frame(next_stream(), 2, "response", 8); // nothing that a server should get
    send_frame(next_stream(), 3, "data", 4);
    send_frame(next_stream(), 200, "", 0);
    CHECK(says_hello());
}

// Frames that are well formed, with contents that are not; seeded, so that a failure can be seen
// again.
static void random_bytes(void) {
    section("2000 requests of random bytes");
    srandom(1);
    for (int i = 0; i < 2000; i++) {
        uint8_t bytes[64];
        size_t size = (size_t)random() % sizeof bytes;
        for (size_t j = 0; j < size; j++) {
            bytes[j] = (uint8_t)random();
        }
        uint32_t stream = next_stream();
        send_frame(stream, 1, bytes, size);
        if (await(stream, NULL).code == 0) {
            CHECK(false);
        }
    }
    static const char *const methods[] = {
        "Hello",  "CreateContainer", "CreateExec", "Start", "Wait",     "Signal",
        "Delete", "Pause",           "Resume",     "Stats", "BindSlot", "Resize",
    };
    for (int i = 0; i < 2000; i++) {
        uint8_t bytes[24];
        size_t size = 1 + (size_t)random() % (sizeof bytes - 1);
        for (size_t j = 0; j < size; j++) {
            bytes[j] = (uint8_t)(random() % 40);
        }
        code_of(SERVICE, methods[(size_t)i % (sizeof methods / sizeof *methods)], bytes, size);
    }
    CHECK(says_hello());
}

void test_protocol(void) {
    section("hello");
    CHECK(says_hello());
    cut_up();
    too_long();
    nonsense();
    random_bytes();
}
