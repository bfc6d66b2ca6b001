#define _GNU_SOURCE
#include "shm.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool mounted;

static bool make(uint64_t bytes, struct failure *failure) {
    char options[64];
    snprintf(options, sizeof options, "mode=1777,size=%" PRIu64, bytes);
    if (mkdir(POD_SHM, 0755) != 0 && errno != EEXIST) {
        return fail_errno(failure, "making " POD_SHM);
    }
    return mount("shm", POD_SHM, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) == 0 ||
           fail_errno(failure, "mounting the pod's /dev/shm with %s", options);
}

bool shm_mount(uint64_t bytes, struct failure *failure) {
    pthread_mutex_lock(&mutex);
    mounted = mounted || make(bytes, failure);
    bool done = mounted;
    pthread_mutex_unlock(&mutex);
    return done;
}
