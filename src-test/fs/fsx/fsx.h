/* Random operations on a file, each compared with a model of the file in memory. After fsx of Apple
 * and SGI. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The largest file: small enough that operations meet each other, large enough for several requests
 * to each. */
#define LARGEST (768 * 1024)
/* How many operations a failure shows. */
#define REMEMBERED 48
#define LINE 96

/* What the file must be. In memory that two processes may share, who then use it one at a time,
 * under the file's lock. */
struct model {
    size_t size;
    uint64_t operations;
    uint64_t next_line;
    int inside; /* how many processes believe that they have the lock */
    char log[REMEMBERED][LINE];
    unsigned char bytes[LARGEST];
};

struct run {
    struct model *model;
    const char *path;
    int fd, append_fd, direct_fd; /* the last is -1 where there is no O_DIRECT */
    unsigned char *map;           /* LARGEST bytes of the file, shared */
    uint64_t random;
    bool shared, can_punch, can_zero;
};

/* Opens, or opens anew, and maps. */
void open_file(struct run *run);
void close_file(struct run *run);
/* Does one operation, chosen at random. Returns only if the file is as it should be. */
void one_operation(struct run *run);
/* Reads all of the file and compares. */
void compare_all(struct run *run, const char *when);

/* Says what is wrong and what was done before, and exits with 1. */
void failed(struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
