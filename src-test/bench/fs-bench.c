// Benchmark B10, the guest's half: the init of a VM that mounts the file system "rund", works in
// its folder "bench", writes the times to bench/times ("NAME MILLISECONDS" a line) and resets.
//
// What is measured is what crosses to the host: the guest's caches are dropped before reads and
// before the walk, there is no read-ahead for reads at random, and without a writeback cache each
// write goes out at once. O_DIRECT would not do: rund hands it on to the host's file system,
// virtiofsd does not.
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    SMALL = 4 << 10,
    LARGE = 128 << 10,
    FILE_SIZE = 32 << 20,
    SMALL_REQUESTS = 1000,
    FOLDERS = 10,
    FILES = 100,
    STAT_ROUNDS = 3,
};

static char buffer[LARGE];
static FILE *times;

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void check(bool good, const char *what) {
    if (!good) {
        fprintf(times, "failed %s: %m\n", what);
        fclose(times);
        reboot(RB_AUTOBOOT);
    }
}

static void drop_caches(void) {
    sync();
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
    check(fd >= 0 && write(fd, "3", 1) == 1, "dropping caches");
    close(fd);
}

static int open_data(int flags) {
    int fd = open("data", flags, 0644);
    check(fd >= 0, "opening data");
    return fd;
}

static void sequential_write(void) {
    int fd = open_data(O_RDWR | O_CREAT | O_TRUNC);
    for (off_t at = 0; at < FILE_SIZE; at += LARGE) {
        check(pwrite(fd, buffer, LARGE, at) == LARGE, "writing");
    }
    check(fsync(fd) == 0, "fsync");
    close(fd);
}

static void sequential_read(void) {
    int fd = open_data(O_RDONLY);
    for (off_t at = 0; at < FILE_SIZE; at += LARGE) {
        check(pread(fd, buffer, LARGE, at) == LARGE, "reading");
    }
    close(fd);
}

// The same places in every run.
static off_t next_place(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (off_t)((*state >> 33) % (FILE_SIZE / SMALL)) * SMALL;
}

static void random_read(void) {
    uint64_t state = 1;
    int fd = open_data(O_RDONLY);
    check(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM) == 0, "fadvise");
    for (int i = 0; i < SMALL_REQUESTS; i++) {
        check(pread(fd, buffer, SMALL, next_place(&state)) == SMALL, "reading at random");
    }
    close(fd);
}

static void random_write(void) {
    uint64_t state = 2;
    int fd = open_data(O_RDWR);
    for (int i = 0; i < SMALL_REQUESTS; i++) {
        check(pwrite(fd, buffer, SMALL, next_place(&state)) == SMALL, "writing at random");
    }
    close(fd);
}

static void for_each_file(void (*visit)(const char *path)) {
    for (int folder = 0; folder < FOLDERS; folder++) {
        for (int file = 0; file < FILES; file++) {
            char path[64];
            snprintf(path, sizeof path, "tree/%d/file-%d", folder, file);
            visit(path);
        }
    }
}

static void create_file(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    check(fd >= 0 && write(fd, path, strlen(path)) > 0, "creating a file");
    close(fd);
}

static void remove_file(const char *path) {
    check(unlink(path) == 0, "removing a file");
}

static void stat_file(const char *path) {
    struct stat status;
    check(lstat(path, &status) == 0, "lstat");
}

static void create_tree(void) {
    char path[64];
    check(mkdir("tree", 0755) == 0, "mkdir");
    for (int folder = 0; folder < FOLDERS; folder++) {
        snprintf(path, sizeof path, "tree/%d", folder);
        check(mkdir(path, 0755) == 0, "mkdir");
    }
    for_each_file(create_file);
}

static void remove_tree(void) {
    char path[64];
    for_each_file(remove_file);
    for (int folder = 0; folder < FOLDERS; folder++) {
        snprintf(path, sizeof path, "tree/%d", folder);
        check(rmdir(path) == 0, "rmdir");
    }
    check(rmdir("tree") == 0, "rmdir");
}

// As `git status` does: every file of the index by lstat, then every folder for files it does not
// know.
static void walk(void) {
    for_each_file(stat_file);
    for (int folder = 0; folder < FOLDERS; folder++) {
        char path[64];
        snprintf(path, sizeof path, "tree/%d", folder);
        DIR *entries = opendir(path);
        check(entries != NULL, "opendir");
        int count = 0;
        while (readdir(entries) != NULL) {
            count++;
        }
        closedir(entries);
        check(count == FILES + 2, "counting a folder's files");
    }
}

static void walk_again(void) {
    for (int i = 0; i < STAT_ROUNDS; i++) {
        walk();
    }
}

static void measure(const char *name, bool cold, void (*work)(void)) {
    if (cold) {
        drop_caches();
    }
    double start = milliseconds();
    work();
    fprintf(times, "%s %.3f\n", name, milliseconds() - start);
}

int main(void) {
    mount("proc", "/proc", "proc", 0, NULL);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    times = stderr;
    check(mount("rund", "/mnt", "virtiofs", 0, NULL) == 0, "mounting virtiofs");
    check(chdir("/mnt/bench") == 0, "chdir to bench");
    FILE *file = fopen("times", "w");
    check(file != NULL, "creating the file for the times");
    times = file;
    measure("write-128k", false, sequential_write);
    measure("read-128k", true, sequential_read);
    measure("randread-4k", true, random_read);
    measure("randwrite-4k", false, random_write);
    measure("create", false, create_tree);
    measure("walk-cold", true, walk);
    measure("walk-warm", false, walk_again);
    measure("remove", false, remove_tree);
    fclose(times);
    sync();
    reboot(RB_AUTOBOOT);
    return 1;
}
