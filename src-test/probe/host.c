/* What a host holds of sandboxes, one "kind<TAB>item" a line: the raw material of the test's
 * HostState. One program and no shell, for a start of a process is what is slow in the lab. */
#define _GNU_SOURCE
#include "probe.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *walked_kind;

static void text_of(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0) {
        close(fd);
    }
    text[strcspn(text, "\n")] = '\0';
}

/* Calls `each` with the path of every entry of a folder whose name begins with `prefix`. */
static void each_entry(const char *folder, const char *prefix, void (*each)(const char *path)) {
    DIR *directory = opendir(folder);
    if (!directory) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[PATH_MAX];
        if (entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            each(path);
        }
    }
    closedir(directory);
}

/* The target of a link without its number: socket:[123] is socket:. */
static void link_of(const char *path, char *target, size_t size) {
    ssize_t n = readlink(path, target, size - 1);
    target[n > 0 ? n : 0] = '\0';
    char *bracket = strchr(target, '[');
    if (bracket && isdigit((unsigned char)bracket[1])) {
        *bracket = '\0';
    }
}

static void show_memfd(const char *path) {
    char target[PATH_MAX];
    link_of(path, target, sizeof target);
    if (strncmp(target, "/memfd:", 7) == 0) {
        printf("memfd\t%s\n", target);
    }
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* What a JVM opens of its own program, when it first needs a class that is in there, and keeps. */
static bool is_program(const char *target) {
    return (strstr(target, "/rund/lib/") && ends_with(target, ".jar")) ||
           ends_with(target, "/rund/jre/lib/modules");
}

static void show_descriptor(const char *path) {
    static const char *kinds[] = {"anon_inode:", "socket:", "pipe:", "/memfd:", "/dev/", "/run/"};
    char target[PATH_MAX];
    link_of(path, target, sizeof target);
    if (is_program(target)) {
        return;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strncmp(target, kinds[i], strlen(kinds[i])) == 0) {
            printf("descriptor\t%s\n", target);
            return;
        }
    }
    printf("descriptor\tfile\n"); /* whose name may be that of a file in a sandbox */
}

static void show_thread(const char *path) {
    char file[PATH_MAX + 8], name[32];
    snprintf(file, sizeof file, "%s/comm", path);
    text_of(file, name, sizeof name);
    printf("thread\t%s\n", name);
}

/* Whether a process is an engine: its arguments have --socket PATH/engine.sock. */
static bool is_engine(const char *process) {
    char path[PATH_MAX], arguments[16384];
    snprintf(path, sizeof path, "%s/cmdline", process);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, arguments, sizeof arguments);
    if (fd >= 0) {
        close(fd);
    }
    return n > 0 && memmem(arguments, (size_t)n, "/engine.sock", 12) != NULL;
}

static void show_process(const char *process) {
    static const char *names[] = {"containerd", "rund", "runc", "crun", "ctr", "mkfs", "java"};
    char path[PATH_MAX], status[512], name[64] = "";
    if (!isdigit((unsigned char)strrchr(process, '/')[1])) {
        return;
    }
    snprintf(path, sizeof path, "%s/fd", process);
    each_entry(path, "", show_memfd);
    snprintf(path, sizeof path, "%s/stat", process);
    text_of(path, status, sizeof status);
    char state = '?';
    sscanf(status, "%*d (%63[^)]) %c", name, &state);
    bool engine = strcmp(name, "java") == 0 && is_engine(process);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strncmp(name, names[i], strlen(names[i])) == 0 && (engine || names[i][0] != 'j')) {
            printf("process\t%s%s\n", engine ? "engine" : name, state == 'Z' ? " (zombie)" : "");
        }
    }
    if (engine) {
        snprintf(path, sizeof path, "%s/fd", process);
        each_entry(path, "", show_descriptor);
        snprintf(path, sizeof path, "%s/task", process);
        each_entry(path, "", show_thread);
    }
}

static void show_namespace(const char *process) {
    char path[PATH_MAX], target[64];
    snprintf(path, sizeof path, "%s/ns/net", process);
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n > 0) {
        target[n] = '\0';
        printf("network namespace\t%s\n", target);
    }
}

static void show_block_device(const char *path) {
    char file[PATH_MAX + 32], text[PATH_MAX];
    snprintf(file, sizeof file, "%s/dm/name", path);
    text_of(file, text, sizeof text);
    if (text[0]) {
        printf("device-mapper\t%s\n", text);
    }
    snprintf(file, sizeof file, "%s/loop/backing_file", path);
    text_of(file, text, sizeof text);
    if (text[0]) {
        printf("loop\t%s\n", text);
    }
}

static int show_file(const char *path, const struct stat *s, int type, struct FTW *at) {
    (void)s, (void)type, (void)at;
    if (!strstr(path, "/engine.log")) {
        printf("%s\t%s\n", walked_kind, path);
    }
    return 0;
}

static int show_folder(const char *path, const struct stat *s, int type, struct FTW *at) {
    return type == FTW_D ? show_file(path, s, type, at) : 0;
}

/* host [FOLDER...]: the processes, devices, mounts and cgroups of the host, and files in FOLDERs.
 */
int show_host(int argc, char **argv) {
    char line[PATH_MAX], target[PATH_MAX];
    each_entry("/proc", "", show_process);
    each_entry("/proc", "", show_namespace);
    each_entry("/sys/block", "", show_block_device);
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    while (mounts && fgets(line, sizeof line, mounts)) {
        if (sscanf(line, "%*s %*s %*s %*s %4095s", target) == 1) {
            printf("mount\t%s\n", target);
        }
    }
    if (mounts) {
        fclose(mounts);
    }
    walked_kind = "file";
    for (int i = 1; i < argc; i++) {
        nftw(argv[i], show_file, 16, FTW_PHYS | FTW_MOUNT);
    }
    walked_kind = "cgroup";
    nftw("/sys/fs/cgroup", show_folder, 16, FTW_PHYS | FTW_MOUNT);
    return fflush(stdout) == 0 ? 0 : 125;
}
