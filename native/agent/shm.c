#define _GNU_SOURCE
#include "shm.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container.h"

// No container is called so: ids do not begin with '.'.
#define POD_SHM "/run/rund/.shm"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

// A folder is there when it is mounted.
static bool make(const char *path, uint64_t bytes, struct failure *failure) {
    char options[64];
    snprintf(options, sizeof options, "mode=1777,size=%" PRIu64, bytes);
    if (mkdir(POD_SHM, 0755) != 0 && errno != EEXIST) {
        return fail_errno(failure, "making " POD_SHM);
    }
    if (mkdir(path, 0755) != 0) {
        return errno == EEXIST || fail_errno(failure, "making %s", path);
    }
    if (mount("shm", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) != 0) {
        fail_errno(failure, "mounting %s for /dev/shm with %s", path, options);
        rmdir(path);
        return false;
    }
    return true;
}

static bool mount_one(const Rund__Agent__V1__SharedMemory *memory, struct failure *failure) {
    char path[PATH_MAX];
    if (!id_check("shared memory", memory->name, failure)) {
        return false;
    }
    snprintf(path, sizeof path, POD_SHM "/%s", memory->name);
    pthread_mutex_lock(&mutex);
    bool done = make(path, memory->bytes, failure);
    pthread_mutex_unlock(&mutex);
    return done;
}

bool shm_mount(const Rund__Agent__V1__CreateContainerRequest *request, struct failure *failure) {
    for (size_t i = 0; i < request->n_shared_memories; i++) {
        if (!mount_one(request->shared_memories[i], failure)) {
            return false;
        }
    }
    return true;
}
