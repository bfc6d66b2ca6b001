#define _GNU_SOURCE
#include "shares.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container.h"
#include "log.h"
#include "platform.h"

enum { PATH_SIZE = sizeof SHARES_DIRECTORY + ID_MAX + 2 };

// How many containers use a share: those of a pod may have some in common. While the kernel's mount
// of one stays, all of them have the same inodes.
struct use {
    struct use *next;
    unsigned containers;
    char name[ID_MAX + 1];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool mounted;
static struct use *uses;

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

// The link that leads to it, or the last one.
static struct use **look_up(const char *name) {
    struct use **link = &uses;
    while (*link != NULL && strcmp((*link)->name, name) != 0) {
        link = &(*link)->next;
    }
    return link;
}

// What is behind the slash makes the kernel go through the directory; a file has none.
static void mount_directory(const char *name) {
    char path[PATH_SIZE + 1];
    share_path(path, name);
    strcat(path, "/");
    if (access(path, F_OK) != 0 && errno != ENOTDIR) {
        log_error("looking at %s: %s", path, strerror(errno));
    }
}

bool share_take(const char *name, struct failure *failure) {
    pthread_mutex_lock(&mutex);
    struct use **link = look_up(name);
    if (*link == NULL && (*link = calloc(1, sizeof **link)) != NULL) {
        snprintf((*link)->name, sizeof(*link)->name, "%s", name);
    }
    bool taken = *link != NULL;
    if (taken) {
        (*link)->containers++;
    }
    pthread_mutex_unlock(&mutex);
    if (taken) {
        mount_directory(name); // may wait for the host
    }
    return taken || fail(failure, STATUS_RESOURCE_EXHAUSTED, "no memory for share %s", name);
}

static void unmount(const char *name) {
    char path[PATH_SIZE];
    share_path(path, name);
    if (umount2(path, MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT) {
        log_error("letting go of %s: %s", path, strerror(errno));
    }
}

void share_release(const char *name) {
    pthread_mutex_lock(&mutex);
    struct use **link = look_up(name);
    struct use *use = *link;
    if (use != NULL && --use->containers == 0) {
        *link = use->next;
        free(use);
        unmount(name);
    }
    pthread_mutex_unlock(&mutex);
}
