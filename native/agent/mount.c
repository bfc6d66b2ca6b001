#define _GNU_SOURCE
#include "mount.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

static const struct {
    const char *name;
    unsigned long set;
    unsigned long clear;
} known[] = {
    {"defaults", 0, 0},
    {"ro", MS_RDONLY, 0},
    {"rw", 0, MS_RDONLY},
    {"noatime", MS_NOATIME, 0},
    {"atime", 0, MS_NOATIME},
    {"relatime", MS_RELATIME, 0},
    {"norelatime", 0, MS_RELATIME},
    {"strictatime", MS_STRICTATIME, 0},
    {"nodiratime", MS_NODIRATIME, 0},
    {"diratime", 0, MS_NODIRATIME},
    {"nosuid", MS_NOSUID, 0},
    {"suid", 0, MS_NOSUID},
    {"nodev", MS_NODEV, 0},
    {"dev", 0, MS_NODEV},
    {"noexec", MS_NOEXEC, 0},
    {"exec", 0, MS_NOEXEC},
    {"sync", MS_SYNCHRONOUS, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"dirsync", MS_DIRSYNC, 0},
};

static bool is_flag(const char *option, unsigned long *flags) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(option, known[i].name) == 0) {
            *flags = (*flags & ~known[i].clear) | known[i].set;
            return true;
        }
    }
    return false;
}

bool mount_options(char *const options[], size_t count, unsigned long *flags, char *data,
                   size_t size, struct failure *failure) {
    size_t length = 0;
    *flags = 0;
    data[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (is_flag(options[i], flags)) {
            continue;
        }
        int added =
            snprintf(data + length, size - length, "%s%s", length > 0 ? "," : "", options[i]);
        if ((size_t)added >= size - length) {
            return fail(failure, STATUS_INVALID_ARGUMENT,
                        "the mount options have more than %zu characters", size - 1);
        }
        length += (size_t)added;
    }
    return true;
}

bool mount_disk(const char *disk, const char *target, const char *type, char *const options[],
                size_t count, struct failure *failure) {
    unsigned long flags;
    char data[1024];
    if (!mount_options(options, count, &flags, data, sizeof data, failure)) {
        return false;
    }
    if (mount(disk, target, type, flags, data) == 0) {
        return true;
    }
    int error = errno;
    fail_errno(failure, "mounting %s as %.32s%s%s", disk, type, data[0] ? " with " : "", data);
    size_t length = strlen(failure->message);
    const char *hint = error == EINVAL   ? " (is there such a file system on the disk?)"
                       : error == ENODEV ? " (the guest kernel does not know this file system)"
                                         : "";
    snprintf(failure->message + length, sizeof failure->message - length, "%s", hint);
    failure->code = STATUS_INVALID_ARGUMENT;
    return false;
}
