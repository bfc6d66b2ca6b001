/* tree [-l] [-t|-f] DIR: what is in a folder, as two runs of the same program must leave it: for
 * each name type, mode, owner, links, size, time of change, extended attributes, target, digest of
 * the content. Prints how many entries there are and a digest of all of it; -l prints the entries
 * too; -t leaves out the times, -f those of folders. The sizes and links of folders are left out:
 * they are the file system's affair. */
#define _GNU_SOURCE
#include "tools.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static bool listing, timeless, timeless_folders;
static uint64_t total;
static long entries;

static void fail(const char *what, const char *name) {
    fprintf(stderr, "fs-tool: %s %s: %s\n", what, name, strerror(errno));
    exit(1);
}

/* Finds changes, not attackers. */
static uint64_t digest(uint64_t state, const void *data, size_t length) {
    const unsigned char *at = data;
    for (; length >= 8; at += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        state = (state ^ word) * 0x9E3779B97F4A7C15u;
        state ^= state >> 29;
    }
    for (; length > 0; at++, length--) {
        state = (state ^ *at) * 0x9E3779B97F4A7C15u;
        state ^= state >> 29;
    }
    return state;
}

static uint64_t content(int parent, const char *name) {
    static unsigned char block[1 << 18];
    uint64_t state = 1;
    int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        fail("open", name);
    /* Whole blocks, so that the digest does not depend on how much a read returns. */
    for (size_t got = 0;;) {
        ssize_t n = read(fd, block + got, sizeof block - got);
        if (n < 0)
            fail("read", name);
        got += (size_t)n;
        if (n == 0 || got == sizeof block) {
            state = digest(state, block, got);
            got = 0;
        }
        if (n == 0)
            break;
    }
    close(fd);
    return state;
}

static int by_name(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

/* Appends " name=digest" for each extended attribute in the order of names. */
static void add_xattrs(const char *path, char *line, size_t room) {
    static char names[65536], value[65536];
    char *sorted[256];
    size_t count = 0;
    ssize_t n = llistxattr(path, names, sizeof names);
    for (char *name = names; n > 0 && name < names + n && count < 256; name += strlen(name) + 1)
        sorted[count++] = name;
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 0; i < count; i++) {
        ssize_t length = lgetxattr(path, sorted[i], value, sizeof value);
        size_t used = strlen(line);
        snprintf(line + used, room - used, " %s=%" PRIx64, sorted[i],
                 length < 0 ? 0 : digest(1, value, (size_t)length));
    }
}

static void entry(int parent, const char *name, const char *path) {
    static char line[3 * PATH_MAX];
    struct stat s;
    if (fstatat(parent, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
        fail("stat", path);
    bool folder = S_ISDIR(s.st_mode);
    snprintf(line, sizeof line, "%s %06o %u:%u", path, s.st_mode, s.st_uid, s.st_gid);
    size_t used = strlen(line);
    if (!folder) {
        snprintf(line + used, sizeof line - used, " links %lu size %lld device %u:%u",
                 (unsigned long)s.st_nlink, (long long)s.st_size, major(s.st_rdev),
                 minor(s.st_rdev));
        used = strlen(line);
    }
    if (!timeless && !(folder && timeless_folders)) {
        snprintf(line + used, sizeof line - used, " time %lld.%09ld", (long long)s.st_mtim.tv_sec,
                 s.st_mtim.tv_nsec);
        used = strlen(line);
    }
    if (S_ISREG(s.st_mode)) {
        snprintf(line + used, sizeof line - used, " content %016" PRIx64, content(parent, name));
    } else if (S_ISLNK(s.st_mode)) {
        char target[PATH_MAX];
        ssize_t n = readlinkat(parent, name, target, sizeof target - 1);
        if (n < 0)
            fail("readlink", path);
        target[n] = 0;
        snprintf(line + used, sizeof line - used, " -> %s", target);
    }
    add_xattrs(path, line, sizeof line);
    total = digest(total, line, strlen(line));
    entries++;
    if (listing)
        puts(line);
}

static void walk(const char *path) {
    char **names = NULL;
    size_t count = 0, room = 0;
    DIR *d = opendir(path);
    if (d == NULL)
        fail("opendir", path);
    errno = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (count == room) {
            room = room ? 2 * room : 64;
            names = realloc(names, room * sizeof *names);
        }
        if (names == NULL || (names[count++] = strdup(e->d_name)) == NULL)
            fail("memory for", path);
    }
    if (errno != 0)
        fail("readdir", path);
    if (count > 0)
        qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        char child[PATH_MAX];
        struct stat s;
        if (snprintf(child, sizeof child, "%s/%s", path, names[i]) >= (int)sizeof child) {
            errno = ENAMETOOLONG;
            fail("name", path);
        }
        entry(dirfd(d), names[i], child);
        if (fstatat(dirfd(d), names[i], &s, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(s.st_mode))
            walk(child);
        free(names[i]);
    }
    free(names);
    closedir(d);
}

int tree(int argc, char **argv) {
    for (int option; (option = getopt(argc, argv, "ltf")) != -1;) {
        listing |= option == 'l';
        timeless |= option == 't';
        timeless_folders |= option == 'f';
        if (option == '?')
            return 125;
    }
    if (optind + 1 != argc)
        return 125;
    if (chdir(argv[optind]) < 0)
        fail("cd", argv[optind]);
    walk(".");
    printf("%ld entries, digest %016" PRIx64 "\n", entries, total);
    return 0;
}
