// Containers and execs from creation to deletion, and everything that must not work.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "containers.h"
#include "failure.h"
#include "tests.h"

static const struct ports NONE;

static void nothing_there(void) {
    section("containers and execs that are not there");
    static const char *const methods[] = {"Start", "Wait", "Delete"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        CHECK(ref(methods[i], "nobody", "") == STATUS_NOT_FOUND);
        CHECK(ref(methods[i], "nobody", "exec") == STATUS_NOT_FOUND);
        CHECK(ref(methods[i], "", "") == STATUS_NOT_FOUND);
    }
    static const char *const others[] = {"Pause", "Resume", "Stats"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        CHECK(container_ref(others[i], "nobody") == STATUS_NOT_FOUND);
    }
    CHECK(send_signal("nobody", "", 9, false) == STATUS_NOT_FOUND);
    CHECK(await(begin_wait_oom("nobody"), NULL).code == STATUS_NOT_FOUND);
    CHECK(update("nobody", "{}") == STATUS_NOT_FOUND);
    CHECK(create_exec("nobody", "e", "{}", NONE) == STATUS_NOT_FOUND);
    Rund__Agent__V1__SlotRef slot = RUND__AGENT__V1__SLOT_REF__INIT;
    slot.slot = 4000000000;
    CHECK(call_code("BindSlot", &slot.base) == STATUS_INVALID_ARGUMENT);
    CHECK(call_code("UnbindSlot", &slot.base) == STATUS_INVALID_ARGUMENT);
}

static void fails_to_create(const char *spec, const char *message) {
    struct answer answer = create_answer("bad", spec, NONE);
    if (!CHECK(answer.code == STATUS_INVALID_ARGUMENT) ||
        !CHECK(strstr(answer.message, message) != NULL)) {
        printf("    code %d: %s\n", answer.code, answer.message);
    }
    CHECK(ref("Wait", "bad", "") == STATUS_NOT_FOUND);
}

static void bad_requests(void) {
    section("containers that cannot be made");
    char *spec = spec_json("exit", "0", false, 0);
    static const char *const ids[] = {"", ".", "..", "a/b", "../x", "a b", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        CHECK(create(ids[i], spec, NONE) == STATUS_INVALID_ARGUMENT);
    }
    char long_id[200];
    memset(long_id, 'a', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = '\0';
    CHECK(create(long_id, spec, NONE) == STATUS_INVALID_ARGUMENT);
    CHECK(create("bad", spec, (struct ports){.out = 9}) == STATUS_INTERNAL); // nobody listens
    free(spec);
    fails_to_create("{\"root\"", "config.json");
    char *missing = spec_json("/nope", "", false, 0);
    fails_to_create(missing, "`nope` not found in $PATH");
    free(missing);
    char *not_executable = spec_json("//data", "", false, 0);
    fails_to_create(not_executable, "ermission denied");
    free(not_executable);
}

static void shares(void) {
    section("a root file system on a share of the host, and shares that are none");
    host_share("c-rootfs", rootfs_directory());
    char *spec = spec_json("say", "share", false, 0);
    for (int round = 0; round < 2; round++) {
        int out = port_listen(2001);
        struct answer answer = create_on_share("c", spec, "c-rootfs", (struct ports){.out = 2001});
        if (!CHECK(answer.code == 0)) {
            printf("    %s\n", answer.message);
            break;
        }
        out = port_accept(out);
        CHECK(ref("Start", "c", "") == 0);
        CHECK(wait_exit("c", "") == 0);
        size_t length;
        char *text = read_to_end(out, &length);
        CHECK(strcmp(text, "out share\n") == 0);
        free(text);
        CHECK(ref("Delete", "c", "") == 0);
        CHECK(agent_entries("/run/rund/.shares") == 1);
    }
    struct answer answer = create_on_share("c", spec, "nobody", NONE);
    CHECK(answer.code == STATUS_INTERNAL);
    CHECK(strstr(answer.message, "nobody") != NULL);
    CHECK(create_on_share("c", spec, "../c-rootfs", NONE).code == STATUS_INVALID_ARGUMENT);
    free(spec);
}

static void exit_statuses(void) {
    section("exit statuses");
    static const char *const statuses[] = {"0", "7", "255"};
    for (size_t i = 0; i < 3; i++) {
        char *spec = spec_json("exit", statuses[i], false, 0);
        CHECK(create("c", spec, NONE) == 0);
        uint32_t early = begin_ref("Wait", "c", "");
        uint32_t also = begin_ref("Wait", "c", "");
        CHECK(ref("Start", "c", "") == 0);
        CHECK(await_exit(early) == atoi(statuses[i]));
        CHECK(await_exit(also) == atoi(statuses[i]));
        CHECK(wait_exit("c", "") == atoi(statuses[i]));
        CHECK(ref("Delete", "c", "") == 0);
        CHECK(ref("Wait", "c", "") == STATUS_NOT_FOUND);
        free(spec);
    }
}

static void wrong_order(void) {
    section("calls in the wrong order");
    char *spec = spec_json("sleep", "", false, 0);
    char *process = process_json("exit", "5", false, 0);
    CHECK(create("c", spec, NONE) == 0);
    CHECK(create("c", spec, NONE) == STATUS_ALREADY_EXISTS);
    CHECK(create_exec("c", "e", process, NONE) == STATUS_FAILED_PRECONDITION);
    CHECK(ref("Delete", "c", "") == STATUS_FAILED_PRECONDITION);
    CHECK(container_ref("Pause", "c") == STATUS_FAILED_PRECONDITION);
    CHECK(ref("Start", "c", "") == 0);
    CHECK(ref("Start", "c", "") == STATUS_FAILED_PRECONDITION);
    CHECK(ref("Delete", "c", "") == STATUS_FAILED_PRECONDITION);
    CHECK(ref("Start", "c", "e") == STATUS_NOT_FOUND);
    CHECK(create_exec("c", "e", process, NONE) == 0);
    CHECK(create_exec("c", "e", process, NONE) == STATUS_ALREADY_EXISTS);
    CHECK(create_exec("c", "../e", process, NONE) == STATUS_INVALID_ARGUMENT);
    CHECK(send_signal("c", "e", 9, false) == STATUS_FAILED_PRECONDITION);
    CHECK(ref("Start", "c", "e") == 0);
    CHECK(wait_exit("c", "e") == 5);
    CHECK(send_signal("c", "e", 9, false) == STATUS_NOT_FOUND);
    CHECK(ref("Start", "c", "e") == STATUS_FAILED_PRECONDITION);
    CHECK(ref("Delete", "c", "e") == 0);
    CHECK(ref("Delete", "c", "e") == STATUS_NOT_FOUND);
    CHECK(create_exec("c", "never-started", process, NONE) == 0);
    CHECK(ref("Delete", "c", "never-started") == 0);
    CHECK(send_signal("c", "", 0, false) == STATUS_INVALID_ARGUMENT);
    CHECK(send_signal("c", "", 4000000000, false) == STATUS_INVALID_ARGUMENT);
    CHECK(send_signal("c", "", 15, false) == 0);
    CHECK(wait_exit("c", "") == 15);
    CHECK(send_signal("c", "", 15, false) == STATUS_NOT_FOUND);
    CHECK(create_exec("c", "late", process, NONE) == STATUS_FAILED_PRECONDITION);
    CHECK(ref("Delete", "c", "") == 0);
    free(spec);
    free(process);
}

static void killed_before_start(void) {
    section("an init that is killed before it is started");
    char *spec = spec_json("sleep", "", false, 0);
    CHECK(create("c", spec, NONE) == 0);
    CHECK(send_signal("c", "", 9, false) == 0);
    CHECK(wait_exit("c", "") == 137);
    CHECK(ref("Start", "c", "") == STATUS_FAILED_PRECONDITION);
    CHECK(ref("Delete", "c", "") == 0);
    free(spec);
}

static void hooks(void) {
    section("a container with hooks, which is left to crun from start to end");
    char *spec = hooked_spec_json("exit", "6");
    CHECK(create("c", spec, NONE) == 0);
    CHECK(ref("Start", "c", "") == 0);
    CHECK(wait_exit("c", "") == 6);
    CHECK(ref("Delete", "c", "") == 0);
    free(spec);
}

static void execs(void) {
    section("execs: 8 at once, one that is not there, one that dies with its container");
    start_sleeper("c");
    uint32_t waits[8];
    for (int i = 0; i < 8; i++) {
        char id[8], status[8];
        snprintf(id, sizeof id, "e%d", i);
        snprintf(status, sizeof status, "%d", 40 + i);
        char *process = process_json("exit", status, false, 0);
        CHECK(create_exec("c", id, process, NONE) == 0);
        waits[i] = begin_ref("Wait", "c", id);
        free(process);
    }
    uint32_t starts[8];
    for (int i = 0; i < 8; i++) {
        char id[8];
        snprintf(id, sizeof id, "e%d", i);
        starts[i] = begin_ref("Start", "c", id);
    }
    for (int i = 0; i < 8; i++) {
        CHECK(await(starts[i], NULL).code == 0);
        CHECK(await_exit(waits[i]) == 40 + i);
    }
    char *missing = process_json("/nope", "", false, 0);
    CHECK(create_exec("c", "missing", missing, NONE) == 0);
    struct answer answer = await(begin_ref("Start", "c", "missing"), NULL);
    CHECK(answer.code == STATUS_INVALID_ARGUMENT);
    CHECK(strstr(answer.message, "`nope` not found in $PATH") != NULL);
    CHECK(wait_exit("c", "missing") == 255);
    CHECK(create_exec("c", "broken", "{", NONE) == 0);
    CHECK(ref("Start", "c", "broken") == STATUS_INVALID_ARGUMENT);
    char *sleeper = process_json("sleep", "", false, 0);
    CHECK(create_exec("c", "s", sleeper, NONE) == 0);
    CHECK(ref("Start", "c", "s") == 0);
    CHECK(ref("Delete", "c", "s") == STATUS_FAILED_PRECONDITION);
    uint32_t dies = begin_ref("Wait", "c", "s");
    CHECK(send_signal("c", "", 9, false) == 0);
    CHECK(await_exit(dies) == 137);
    CHECK(wait_exit("c", "") == 137);
    CHECK(ref("Delete", "c", "") == 0); // with all of its execs
    free(sleeper);
    free(missing);
}

static void many_waits(void) {
    section("more calls of Wait than the agent keeps");
    enum { KEPT = 1024 };
    static uint32_t waits[KEPT];
    start_sleeper("c");
    for (int i = 0; i < KEPT; i++) {
        waits[i] = begin_ref("Wait", "c", "");
    }
    CHECK(ref("Wait", "c", "") == STATUS_RESOURCE_EXHAUSTED);
    CHECK(send_signal("c", "", 9, false) == 0);
    int right = 0;
    for (int i = KEPT - 1; i >= 0; i--) { // the last comes first
        right += await_exit(waits[i]) == 137;
    }
    CHECK(right == KEPT);
    CHECK(ref("Delete", "c", "") == 0);
}

static void whole_container(void) {
    section("pause, resume, statistics, a signal to all");
    start_sleeper("c");
    char *sleeper = process_json("sleep", "", false, 0);
    CHECK(create_exec("c", "s", sleeper, NONE) == 0);
    CHECK(ref("Start", "c", "s") == 0);
    CHECK(container_ref("Stats", "c") == 0);
    CHECK(container_ref("Pause", "c") == 0);
    CHECK(run_exec("c", "p", sleeper, NONE) == -STATUS_FAILED_PRECONDITION);
    CHECK(container_ref("Resume", "c") == 0);
    CHECK(send_signal("c", "", 15, true) == 0);
    CHECK(wait_exit("c", "s") == 15 || wait_exit("c", "s") == 137);
    CHECK(wait_exit("c", "") == 15);
    CHECK(container_ref("Stats", "c") == 0 ||
          container_ref("Stats", "c") == STATUS_FAILED_PRECONDITION);
    CHECK(ref("Delete", "c", "") == 0);
    free(sleeper);
}

static void sysctls(void) {
    section("kernel parameters");
    // The agent's UTS namespace is the test's, so this is the one that may be written.
    CHECK(set_sysctl("kernel.domainname", "pod.test") == 0);
    CHECK(set_sysctl("kernel/domainname", "pod.test") == 0);
    CHECK(set_sysctl("no.such.parameter", "1") == STATUS_FAILED_PRECONDITION);
    CHECK(set_sysctl("", "1") == STATUS_INVALID_ARGUMENT);
    CHECK(set_sysctl("../../etc/hostname", "1") == STATUS_INVALID_ARGUMENT);
    CHECK(set_sysctl("/etc/hostname", "1") == STATUS_INVALID_ARGUMENT);
}

static int shared_pid_namespace(void) {
    Rund__Agent__V1__Empty empty = RUND__AGENT__V1__EMPTY__INIT;
    struct answer answer = call("SharedPidNamespace", &empty.base,
                                &rund__agent__v1__shared_pid_namespace_response__descriptor);
    int pid = answer.response == NULL
                  ? -1
                  : (int)((Rund__Agent__V1__SharedPidNamespaceResponse *)answer.response)->pid;
    if (answer.response != NULL) {
        protobuf_c_message_free_unpacked(answer.response, NULL);
    }
    return pid;
}

static void pod(void) {
    section("a pod: two containers in one PID namespace, with one /dev/shm; each ends alone");
    int pid = shared_pid_namespace();
    CHECK(pid > 1);
    CHECK(shared_pid_namespace() == pid);
    char *spec = pod_spec_json("sleep", "", pid);
    CHECK(create_in_pod("a", spec, "../pod") == STATUS_INVALID_ARGUMENT);
    CHECK(create_in_pod("a", spec, "pod") == 0);
    CHECK(create_in_pod("b", spec, "pod") == 0);
    CHECK(ref("Start", "a", "") == 0);
    CHECK(ref("Start", "b", "") == 0);
    CHECK(agent_entries("/run/rund/.shm/pod") == 0);
    char *process = process_json("exit", "4", false, 0);
    CHECK(run_exec("a", "e", process, NONE) == 4);
    end_sleeper("a");
    CHECK(run_exec("b", "e", process, NONE) == 4);
    CHECK(create_in_pod("a", spec, "pod") == 0); // again, in a pod that lives
    CHECK(ref("Start", "a", "") == 0);
    end_sleeper("b");
    end_sleeper("a");
    CHECK(shared_pid_namespace() == pid);
    free(process);
    free(spec);
}

static void waits_for_want_of_memory(void) {
    section("a container that is deleted ends the wait for its want of memory");
    start_sleeper("c");
    uint32_t wait = begin_wait_oom("c");
    CHECK(await(begin_wait_oom("c"), NULL).code == STATUS_RESOURCE_EXHAUSTED);
    end_sleeper("c");
    CHECK(await(wait, NULL).code == STATUS_NOT_FOUND);
}

void test_life_cycle(void) {
    nothing_there();
    bad_requests();
    exit_statuses();
    shares();
    wrong_order();
    killed_before_start();
    hooks();
    execs();
    many_waits();
    whole_container();
    sysctls();
    pod();
    waits_for_want_of_memory();
}
