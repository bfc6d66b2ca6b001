#define _GNU_SOURCE
#include "sysctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "files.h"

enum { NAME_MAX_LENGTH = 200 };

// With dots, a slash stands for a dot in a name, such as that of an interface: sysctl.d(5). The
// separator that comes first decides.
static void translate(char *name) {
    size_t first = strcspn(name, "./");
    if (name[first] != '.') {
        return;
    }
    for (; *name != '\0'; name++) {
        if (*name == '.') {
            *name = '/';
        } else if (*name == '/') {
            *name = '.';
        }
    }
}

bool sysctl_set(const char *name, const char *value, struct failure *failure) {
    char path[NAME_MAX_LENGTH + 16] = "/proc/sys/";
    size_t length = strlen(name);
    if (length == 0 || length > NAME_MAX_LENGTH || name[0] == '/' || strstr(name, "..") != NULL) {
        return fail(failure, STATUS_INVALID_ARGUMENT, "'%.200s' is no name of a sysctl", name);
    }
    char *end = path + strlen(path);
    strcpy(end, name);
    translate(end);
    if (file_write(path, value)) {
        return true;
    }
    if (errno == ENOENT) {
        return fail(failure, STATUS_FAILED_PRECONDITION,
                    "the sandbox's kernel has no sysctl '%.200s'", name);
    }
    return fail_errno(failure, "setting sysctl %.200s to '%.64s'", name, value);
}
