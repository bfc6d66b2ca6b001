#define _GNU_SOURCE
#include "crun.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "log.h"
#include "platform.h"
#include "reaper.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u // Linux 6.3
#endif

// Where the sealed copy of crun is.
static char program[32];

static int sealed_copy(int file) {
    int copy = memfd_create("crun", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (copy < 0 && errno == EINVAL) { // before Linux 6.3 they are executable without saying so
        copy = memfd_create("crun", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    struct stat status;
    if (copy < 0 || fstat(file, &status) != 0 || fchmod(copy, 0500) != 0 ||
        sendfile(copy, file, NULL, (size_t)status.st_size) != status.st_size ||
        fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
        return -1;
    }
    return copy;
}

// So that no container can write to the executor through /proc/PID/exe, crun runs itself again from
// a read-only copy at each start, unless it finds that it is a sealed memfd already (crun,
// src/libcrun/cloned_binary.c).
void crun_load(void) {
    int file = platform_open_crun();
    int copy = file < 0 ? -1 : sealed_copy(file);
    if (copy < 0) {
        log_error("loading crun: %s", strerror(errno));
    }
    if (file >= 0) {
        close(file);
    }
    snprintf(program, sizeof program, "/proc/self/fd/%d", copy);
}

struct temporary temporary_path(void) {
    static atomic_uint counter;
    struct temporary temporary;
    snprintf(temporary.path, sizeof temporary.path, "/run/rund/.tmp/%u",
             atomic_fetch_add(&counter, 1));
    return temporary;
}

// What the user can mend is INVALID_ARGUMENT; what came too late or too early is
// FAILED_PRECONDITION.
static enum status_code code_of(const char *message) {
    static const struct {
        const char *part;
        enum status_code code;
    } known[] = {
        {"executable file", STATUS_INVALID_ARGUMENT},
        {"open executable", STATUS_INVALID_ARGUMENT},
        {"exec container process", STATUS_INVALID_ARGUMENT},
        {"chdir", STATUS_INVALID_ARGUMENT},
        {"error loading", STATUS_INVALID_ARGUMENT},
        {"cannot parse", STATUS_INVALID_ARGUMENT},
        {"parse error", STATUS_INVALID_ARGUMENT},
        {"invalid ", STATUS_INVALID_ARGUMENT},
        {"unknown ", STATUS_INVALID_ARGUMENT},
        {"is not running", STATUS_FAILED_PRECONDITION},
        {"is paused", STATUS_FAILED_PRECONDITION},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strstr(message, known[i].part) != NULL) {
            return known[i].code;
        }
    }
    return STATUS_INTERNAL;
}

// crun's log is a line for each error, the innermost first.
static bool fail_with_log(const char *path, const char *command, uint32_t status,
                          struct failure *failure) {
    char text[800];
    int length = file_read(path, text, sizeof text);
    while (length > 0 && text[length - 1] == '\n') {
        text[--length] = '\0';
    }
    if (length <= 0) {
        return fail(failure, STATUS_INTERNAL, "crun %s ended with status %u and said nothing",
                    command, status);
    }
    for (char *newline = text; (newline = strchr(newline, '\n')) != NULL;) {
        *newline = ';';
    }
    return fail(failure, code_of(text), "crun %s: %s", command, text);
}

static bool run(const char *const arguments[], const char *log, const int streams[3],
                struct failure *failure) {
    const char *all[CRUN_ARGUMENTS_MAX + 8] = {
        program, "--root", "/run/crun", "--cgroup-manager", "cgroupfs", "--log", log,
    };
    for (size_t i = 0, count = 7; arguments[i] != NULL; i++) {
        all[count++] = arguments[i];
    }
    uint32_t status;
    if (!reaper_run((char *const *)all, streams, &status, failure)) {
        return false;
    }
    return status == 0 || fail_with_log(log, arguments[0], status, failure);
}

bool crun(const char *const arguments[], const int streams[3], struct failure *failure) {
    int null = -1;
    int nulls[3];
    if (streams == NULL) {
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0) {
            return fail_errno(failure, "opening /dev/null");
        }
        nulls[0] = nulls[1] = nulls[2] = null;
        streams = nulls;
    }
    struct temporary log = temporary_path();
    bool done = run(arguments, log.path, streams, failure);
    unlink(log.path);
    if (null >= 0) {
        close(null);
    }
    return done;
}
