// What takes a guest kernel: controllers of cgroup v2, device rules in eBPF, disks in slots.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "containers.h"
#include "failure.h"
#include "tests.h"

static void limits(void) {
    section("limits of memory, processes and CPU, and device rules");
    char *spec = limited_spec_json(
        "sleep", "",
        "{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},"
        "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"rwm\"}],"
        "\"memory\":{\"limit\":33554432},\"pids\":{\"limit\":16},"
        "\"cpu\":{\"quota\":50000,\"period\":100000}}");
    CHECK(create("c", spec, (struct ports){0}) == 0);
    CHECK(ref("Start", "c", "") == 0);
    Rund__Agent__V1__ContainerRef request = RUND__AGENT__V1__CONTAINER_REF__INIT;
    request.container_id = "c";
    struct answer answer =
        call("Stats", &request.base, &rund__agent__v1__stats_response__descriptor);
    if (CHECK(answer.response != NULL)) {
        Rund__Agent__V1__StatsResponse *stats = (Rund__Agent__V1__StatsResponse *)answer.response;
        CHECK(stats->memory_limit_bytes == 33554432);
        CHECK(stats->memory_usage_bytes > 0 && stats->memory_usage_bytes < 33554432);
        CHECK(stats->pids_limit == 16 && stats->pids_current == 1);
        CHECK(stats->cpu_usage_usec > 0);
        CHECK(stats->n_memory_stat > 20 && stats->n_memory_events >= 5);
        protobuf_c_message_free_unpacked(answer.response, NULL);
    }
    char *process = process_json("exit", "4", false, 0);
    CHECK(run_exec("c", "e", process, (struct ports){0}) == 4);
    end_sleeper("c");
    free(process);
    free(spec);
}

static void new_limits(void) {
    section("limits that are changed while the container runs");
    char *spec = limited_spec_json("sleep", "", "{\"memory\":{\"limit\":33554432}}");
    CHECK(create("c", spec, (struct ports){0}) == 0);
    CHECK(ref("Start", "c", "") == 0);
    CHECK(update("c", "{\"memory\":{\"limit\":50331648},\"pids\":{\"limit\":9},"
                      "\"cpu\":{\"quota\":25000,\"period\":50000,\"shares\":512}}") == 0);
    Rund__Agent__V1__ContainerRef request = RUND__AGENT__V1__CONTAINER_REF__INIT;
    request.container_id = "c";
    struct answer answer =
        call("Stats", &request.base, &rund__agent__v1__stats_response__descriptor);
    if (CHECK(answer.response != NULL)) {
        Rund__Agent__V1__StatsResponse *stats = (Rund__Agent__V1__StatsResponse *)answer.response;
        CHECK(stats->memory_limit_bytes == 50331648);
        CHECK(stats->memory_peak_bytes >= stats->memory_usage_bytes);
        CHECK(stats->pids_limit == 9);
        protobuf_c_message_free_unpacked(answer.response, NULL);
    }
    CHECK(update("c", "{\"memory\"") == STATUS_INVALID_ARGUMENT);
    end_sleeper("c");
    free(spec);
}

static void want_of_memory(void) {
    section("a process that is killed for want of memory is told of before its exit");
    char *spec = limited_spec_json("hoard", "", "{\"memory\":{\"limit\":16777216}}");
    CHECK(create("c", spec, (struct ports){0}) == 0);
    uint32_t oom = begin_wait_oom("c");
    uint32_t exit = begin_ref("Wait", "c", "");
    CHECK(ref("Start", "c", "") == 0);
    CHECK(await_exit(exit) == 137);
    CHECK(answered_within(oom, 0));
    CHECK(await(oom, NULL).code == 0);
    CHECK(ref("Delete", "c", "") == 0);
    free(spec);
}

static int slot_call(const char *method, unsigned slot) {
    Rund__Agent__V1__SlotRef request = RUND__AGENT__V1__SLOT_REF__INIT;
    request.slot = slot;
    return call_code(method, &request.base);
}

static void disks(void) {
    section("a root file system on a disk, one that is none, slots bound and unbound");
    char *spec = spec_json("say", "disk", false, 0);
    for (int round = 0; round < 3; round++) {
        CHECK(slot_call("BindSlot", 0) == 0);
        int out = port_listen(2001);
        struct answer answer = create_on_disk("c", spec, 0, "ext4", (struct ports){.out = 2001});
        if (!CHECK(answer.code == 0)) {
            printf("    %s\n", answer.message);
            break;
        }
        out = port_accept(out);
        CHECK(ref("Start", "c", "") == 0);
        CHECK(wait_exit("c", "") == 0);
        size_t length;
        char *text = read_to_end(out, &length);
        CHECK(strcmp(text, "out disk\n") == 0);
        free(text);
        CHECK(ref("Delete", "c", "") == 0);
        CHECK(slot_call("UnbindSlot", 0) == 0);
        CHECK(slot_call("UnbindSlot", 0) == 0);
    }
    struct answer answer = create_on_disk("c", spec, 1, "ext4", (struct ports){0});
    CHECK(answer.code == STATUS_INVALID_ARGUMENT);
    CHECK(strstr(answer.message, "is there such a file system on the disk?") != NULL);
    answer = create_on_disk("c", spec, 0, "nofs", (struct ports){0});
    CHECK(answer.code == STATUS_INVALID_ARGUMENT);
    CHECK(strstr(answer.message, "does not know this file system") != NULL);
    CHECK(create_on_disk("c", spec, 77, "ext4", (struct ports){0}).code == STATUS_INVALID_ARGUMENT);
    CHECK(create_on_disk("c", "{\"root\":", 0, "ext4", (struct ports){0}).code ==
          STATUS_INVALID_ARGUMENT);
    CHECK(create_on_disk("c", "{\"root\":{}}", 0, "ext4", (struct ports){0}).code != 0);
    CHECK(slot_call("UnbindSlot", 0) == 0); // nothing of the failures is still mounted
    CHECK(slot_call("UnbindSlot", 1) == 0);
    free(spec);
}

void test_guest(void) {
    limits();
    new_limits();
    want_of_memory();
    disks();
}
