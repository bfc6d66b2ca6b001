// Containers for the tests: specifications, and the calls that most tests need.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "harness.h"

// Makes the directory that is the root of all test containers, with the program in it.
void rootfs_make(const char *program);
const char *rootfs_directory(void);
void rootfs_remove(void);

struct ports {
    uint32_t in, out, err;
    bool terminal;
};

// mode and argument are those of test/program.c; user is the uid.
char *spec_json(const char *mode, const char *argument, bool terminal, int user);
// With linux.resources, a JSON object.
char *limited_spec_json(const char *mode, const char *argument, const char *resources);
// With an empty object of hooks.
char *hooked_spec_json(const char *mode, const char *argument);
// In the PID namespace of a process of the guest, and with the pod's /dev/shm.
char *pod_spec_json(const char *mode, const char *argument, int pid);
char *process_json(const char *mode, const char *argument, bool terminal, int user);

int create(const char *id, const char *spec, struct ports ports);
struct answer create_on_disk(const char *id, const char *spec, unsigned slot, const char *fstype,
                             struct ports ports);
// On a share; the root.path of the specification does not count.
struct answer create_on_share(const char *id, const char *spec, const char *share,
                              struct ports ports);
// With the pod's /dev/shm.
int create_in_pod(const char *id, const char *spec, const char *memory);
int update(const char *id, const char *resources);
int set_sysctl(const char *name, const char *value);
uint32_t begin_wait_oom(const char *id);
int create_exec(const char *id, const char *exec_id, const char *process, struct ports ports);
struct answer create_answer(const char *id, const char *spec, struct ports ports);

int adopt(const char *id, struct ports ports);

uint32_t begin_ref(const char *method, const char *id, const char *exec_id);
int ref(const char *method, const char *id, const char *exec_id);
int container_ref(const char *method, const char *id);
int send_signal(const char *id, const char *exec_id, unsigned number, bool all);
// The exit status, or -1.
int await_exit(uint32_t stream);
int wait_exit(const char *id, const char *exec_id);

// Creates and starts a container that sleeps; ends and deletes it.
void start_sleeper(const char *id);
void end_sleeper(const char *id);
// Runs an exec to its end: its exit status, or minus the code of what failed.
int run_exec(const char *id, const char *exec_id, const char *process, struct ports ports);
