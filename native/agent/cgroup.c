#define _GNU_SOURCE
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

enum { DEPTH_MAX = 8 };

bool cgroup_of(pid_t pid, char *directory, size_t size, struct failure *failure) {
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    if (file_read(path, text, sizeof text) < 0) {
        return fail_errno(failure, "reading %s", path);
    }
    directory[0] = '\0';
    char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (line == NULL) {
        return true; // no cgroup v2
    }
    char *name = strchr(line, '/');
    name[strcspn(name, "\n")] = '\0';
    if (name[1] != '\0') {
        snprintf(directory, size, "/sys/fs/cgroup%s", name);
    }
    return true;
}

static void visit_directory(const char *directory, int depth,
                            void (*visit)(pid_t pid, void *context), void *context) {
    char path[1024];
    snprintf(path, sizeof path, "%s/cgroup.procs", directory);
    FILE *procs = fopen(path, "re");
    if (procs != NULL) {
        int pid;
        while (fscanf(procs, "%d", &pid) == 1) {
            if (pid > 0) { // 0 stands for a process of another PID namespace
                visit(pid, context);
            }
        }
        fclose(procs);
    }
    DIR *entries = depth < DEPTH_MAX ? opendir(directory) : NULL;
    if (entries == NULL) {
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
            (size_t)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) < sizeof path) {
            visit_directory(path, depth + 1, visit, context);
        }
    }
    closedir(entries);
}

void cgroup_processes(const char *directory, void (*visit)(pid_t pid, void *context),
                      void *context) {
    if (directory[0] != '\0') {
        visit_directory(directory, 0, visit, context);
    }
}

static bool remove_directory(const char *directory, int depth) {
    if (rmdir(directory) == 0 || errno == ENOENT) {
        return true;
    }
    DIR *entries = depth < DEPTH_MAX ? opendir(directory) : NULL;
    if (entries == NULL) {
        return false;
    }
    char path[1024];
    struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
            (size_t)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) < sizeof path) {
            remove_directory(path, depth + 1);
        }
    }
    closedir(entries);
    return rmdir(directory) == 0;
}

bool cgroup_remove(const char *directory) {
    return directory[0] == '\0' || remove_directory(directory, 0);
}
