#include "sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DAY = 24 * 60 * 60 };

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

// An engine removes its socket when it leaves; a killed one cannot. One that is alive keeps its
// socket and its log young, but may be silent for longer than a day: who listens is told by
// /proc/net/unix.
static bool is_listening(const char *socket_path) {
    char line[PATH_MAX + 128];
    bool found = false;
    FILE *file = fopen("/proc/net/unix", "re");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        char *path = strchr(line, '/');
        if (path != NULL) {
            path[strcspn(path, "\n")] = '\0';
            found = strcmp(path, socket_path) == 0;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return found || file == NULL;
}

static bool is_abandoned(const char *directory) {
    char path[PATH_MAX + 32];
    struct stat status;
    snprintf(path, sizeof path, "%s/engine.sock", directory);
    if (lstat(path, &status) < 0) {
        return true;
    }
    return time(NULL) - status.st_mtime > DAY && !is_listening(path);
}

// With the cgroups of its sandboxes, which a killed engine leaves, too.
static bool remove_cgroup(const char *path) {
    DIR *entries = opendir(path);
    struct dirent *entry;
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
            unlinkat(dirfd(entries), entry->d_name, AT_REMOVEDIR);
        }
    }
    if (entries != NULL) {
        closedir(entries);
    }
    return rmdir(path) == 0 || errno != EBUSY;
}

// The cgroup first, since only what has a directory is swept: that of an engine that is just
// leaving cannot be removed yet, and the next sweep takes both.
static void remove_directory(const char *directory) {
    // The lock last: who waits for it sees that it is gone and begins anew.
    static const char *const names[] = {"engine.sock", "engine.log", "engine.log.1", "engine.lock"};
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "/sys/fs/cgroup/rund/%s", strrchr(directory, '/') + 1);
    if (!remove_cgroup(path)) {
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    rmdir(directory);
}

static void sweep(const char *directory) {
    char lock[PATH_MAX + 32];
    snprintf(lock, sizeof lock, "%s/engine.lock", directory);
    int fd = open(lock, O_RDWR | O_CLOEXEC);
    struct flock whole_file = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fd >= 0 && fcntl(fd, F_OFD_SETLK, &whole_file) == 0 && is_abandoned(directory)) {
        remove_directory(directory);
    }
    if (fd >= 0) {
        close(fd);
    }
}

void sweep_state(const char *state_dir) {
    DIR *entries = opendir(state_dir);
    if (entries == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (starts_with(entry->d_name, "sandbox-") || starts_with(entry->d_name, "namespace-")) {
            char directory[PATH_MAX];
            if (snprintf(directory, sizeof directory, "%s/%s", state_dir, entry->d_name) <
                (int)sizeof directory) {
                sweep(directory);
            }
        }
    }
    closedir(entries);
}
