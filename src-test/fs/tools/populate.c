/* populate DIR COUNT [BYTES]: COUNT files with content, in folders of 250, with modes, owners and
 * times that are the same each time; some are links, and some are other names of a file. BYTES is
 * the largest size, 1024 if not given; 0 for empty files. */
#define _GNU_SOURCE
#include "tools.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IN_A_FOLDER 250

static int fail(const char *what, const char *name) {
    fprintf(stderr, "fs-tool: %s %s: %s\n", what, name, strerror(errno));
    return 1;
}

static int one_file(long i, size_t largest) {
    static unsigned char content[1 << 16];
    char name[64], other[64];
    uint64_t random = (uint64_t)(i + 1) * 0x9E3779B97F4A7C15u;
    struct timespec times[2] = {{1000000000 + i, 1000 * i}, {1000000000 + i, 1000 * i}};
    snprintf(name, sizeof name, "d%03ld/file-%06ld", i / IN_A_FOLDER, i);
    if (i % IN_A_FOLDER == 0) {
        snprintf(other, sizeof other, "d%03ld", i / IN_A_FOLDER);
        if (mkdir(other, 0755) < 0)
            return fail("mkdir", other);
    }
    if (largest > 0 && i % 50 == 7) {
        snprintf(other, sizeof other, "file-%06ld", i - 1);
        return symlink(other, name) < 0 || utimensat(AT_FDCWD, name, times, AT_SYMLINK_NOFOLLOW) < 0
                   ? fail("symlink", name)
                   : 0;
    }
    if (largest > 0 && i % 50 == 9) {
        snprintf(other, sizeof other, "d%03ld/file-%06ld", i / IN_A_FOLDER, i - 1);
        return link(other, name) < 0 ? fail("link", name) : 0;
    }
    size_t size = largest == 0 ? 0 : (random >> 32) % (largest + 1);
    for (size_t b = 0; b < size; b++)
        content[b] = (unsigned char)(random >> (b % 7 * 8));
    int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, i % 3 ? 0644 : 0600);
    if (fd < 0)
        return fail("open", name);
    if ((size > 0 && write(fd, content, size) != (ssize_t)size) ||
        (i % 20 == 3 && fchown(fd, 1000, 1001) < 0) || futimens(fd, times) < 0) {
        close(fd);
        return fail("write", name);
    }
    return close(fd) < 0 ? fail("close", name) : 0;
}

int populate(int argc, char **argv) {
    if (argc < 3)
        return 125;
    long count = strtol(argv[2], NULL, 10);
    size_t largest = argc > 3 ? strtoul(argv[3], NULL, 10) : 1024;
    umask(022);
    if (largest > (1 << 16) - 1 || chdir(argv[1]) < 0)
        return fail("cd", argv[1]);
    for (long i = 0; i < count; i++)
        if (one_file(i, largest))
            return 1;
    struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
    for (long i = 0; i < count; i += IN_A_FOLDER) {
        char name[64];
        snprintf(name, sizeof name, "d%03ld", i / IN_A_FOLDER);
        if (utimensat(AT_FDCWD, name, times, 0) < 0)
            return fail("utimens", name);
    }
    return 0;
}
