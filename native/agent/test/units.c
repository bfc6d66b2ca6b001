// Parsers and writers, without an agent.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "cgroup.h"
#include "harness.h"
#include "json.h"
#include "mount.h"
#include "tests.h"

static void root_path_becomes(const char *json, const char *expected) {
    struct failure failure;
    size_t length = 0;
    char *result = json_with_root_path(json, strlen(json), "/r", &length, &failure);
    if (expected == NULL) {
        CHECK(result == NULL);
        CHECK(failure.code == STATUS_INVALID_ARGUMENT);
    } else if (CHECK(result != NULL)) {
        CHECK(strcmp(result, expected) == 0);
        CHECK(length == strlen(expected));
    }
    free(result);
}

static void test_json(void) {
    section("root.path of a specification");
    root_path_becomes("{\"root\":{\"path\":\"rootfs\",\"readonly\":true}}",
                      "{\"root\":{\"path\":\"/r\",\"readonly\":true}}");
    root_path_becomes("{\"root\":{}}", "{\"root\":{\"path\":\"/r\"}}");
    root_path_becomes("{\"root\":{\"readonly\":true}}",
                      "{\"root\":{\"path\":\"/r\",\"readonly\":true}}");
    root_path_becomes(" { \"a\" : [ 1, {\"root\":{\"path\":\"no\"}}, \"\\\"root\\\"\" ],\n"
                      "\"root\" : { \"x\":null , \"path\" : \"a\\\\\" } } ",
                      " { \"a\" : [ 1, {\"root\":{\"path\":\"no\"}}, \"\\\"root\\\"\" ],\n"
                      "\"root\" : { \"x\":null , \"path\" : \"/r\" } } ");
    static const char *const broken[] = {
        "",
        "{",
        "[]",
        "{}",
        "null",
        "{\"root\":",
        "{\"root\":1}",
        "{\"root\":{\"path\":\"x\"}",
        "{\"root",
        "{\"root\":{\"path\":\"x\"}} x",
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        root_path_becomes(broken[i], NULL);
    }
    CHECK(json_has("{\"a\":{\"hooks\":1},\"hooks\":{}}", 27, "hooks"));
    CHECK(!json_has("{\"a\":{\"hooks\":1}}", 17, "hooks"));
    CHECK(!json_has("", 0, "hooks"));
    char deep[5000];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    memcpy(deep, "{\"a\":", 5);
    root_path_becomes(deep, NULL);
}

static void test_mount_options(void) {
    section("mount options");
    struct failure failure;
    unsigned long flags;
    char data[32];
    char *options[] = {"ro", "noatime", "discard", "nosuid", "suid", "commit=5"};
    CHECK(mount_options(options, 6, &flags, data, sizeof data, &failure));
    CHECK(flags == (MS_RDONLY | MS_NOATIME));
    CHECK(strcmp(data, "discard,commit=5") == 0);
    CHECK(mount_options(options, 0, &flags, data, sizeof data, &failure));
    CHECK(flags == 0 && data[0] == '\0');
    char *longer[] = {"an-option-of-sixteen", "and-another-of-it"};
    CHECK(!mount_options(longer, 2, &flags, data, sizeof data, &failure));
    CHECK(failure.code == STATUS_INVALID_ARGUMENT);
}

static void test_stats(const char *samples) {
    section("statistics of a cgroup");
    Rund__Agent__V1__StatsResponse stats = RUND__AGENT__V1__STATS_RESPONSE__INIT;
    cgroup_stats(samples, &stats);
    CHECK(stats.cpu_usage_usec == 1234567);
    CHECK(stats.cpu_user_usec == 1000000);
    CHECK(stats.cpu_system_usec == 234567);
    CHECK(stats.cpu_periods == 10 && stats.cpu_throttled_periods == 3);
    CHECK(stats.cpu_throttled_usec == 5500);
    CHECK(stats.memory_usage_bytes == 8675309);
    CHECK(stats.memory_limit_bytes == UINT64_MAX);
    CHECK(stats.swap_usage_bytes == 0 && stats.swap_limit_bytes == 4096);
    CHECK(stats.pids_current == 7 && stats.pids_limit == UINT64_MAX);
    CHECK(stats.n_memory_stat == 3);
    CHECK(strcmp(stats.memory_stat[2]->key, "inactive_file") == 0);
    CHECK(stats.memory_stat[2]->value == 18446744073709551615u);
    CHECK(stats.n_memory_events == 5);
    CHECK(strcmp(stats.memory_events[4]->key, "oom_kill") == 0);
    CHECK(stats.memory_events[4]->value == 2);
    CHECK(stats.n_io == 2);
    CHECK(stats.io[0]->major == 254 && stats.io[0]->minor == 16);
    CHECK(stats.io[0]->read_bytes == 4096 && stats.io[0]->written_bytes == 8192);
    CHECK(stats.io[0]->reads == 1 && stats.io[0]->writes == 2);
    CHECK(stats.io[1]->major == 7 && stats.io[1]->read_bytes == 0);
    size_t size = rund__agent__v1__stats_response__get_packed_size(&stats);
    uint8_t *packed = malloc(size);
    CHECK(rund__agent__v1__stats_response__pack(&stats, packed) == size);
    free(packed);
    cgroup_stats_free(&stats);

    Rund__Agent__V1__StatsResponse none = RUND__AGENT__V1__STATS_RESPONSE__INIT;
    cgroup_stats("/nonexistent", &none);
    CHECK(none.n_memory_stat == 0 && none.n_io == 0 && none.memory_usage_bytes == 0);
    cgroup_stats_free(&none);
}

void test_units(const char *samples) {
    test_json();
    test_mount_options();
    test_stats(samples);
}
