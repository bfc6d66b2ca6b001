#define _GNU_SOURCE
#include "shares.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "container.h"
#include "log.h"
#include "platform.h"

enum { PATH_SIZE = sizeof SHARES_DIRECTORY + ID_MAX + 2 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool mounted;

static bool mount_all(struct failure *failure) {
    if (mkdir(SHARES_DIRECTORY, 0700) != 0 && errno != EEXIST) {
        return fail_errno(failure, "making " SHARES_DIRECTORY);
    }
    return platform_mount_shares(SHARES_DIRECTORY) ||
           fail_errno(failure, "mounting the host's directories (virtiofs)");
}

bool shares_mount(struct failure *failure) {
    pthread_mutex_lock(&mutex);
    mounted = mounted || mount_all(failure);
    bool done = mounted;
    pthread_mutex_unlock(&mutex);
    return done;
}

static void share_path(char path[PATH_SIZE], const char *name) {
    snprintf(path, PATH_SIZE, "%s/%.*s", SHARES_DIRECTORY, ID_MAX, name);
}

bool share_bind(const char *name, const char *target, struct failure *failure) {
    char path[PATH_SIZE];
    share_path(path, name);
    return mount(path, target, NULL, MS_BIND, NULL) == 0 ||
           fail_errno(failure, "binding the host's directory %.128s to %.256s", name, target);
}

void share_release(const char *name) {
    char path[PATH_SIZE];
    share_path(path, name);
    if (umount2(path, MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT) {
        log_error("letting go of %s: %s", path, strerror(errno));
    }
}
