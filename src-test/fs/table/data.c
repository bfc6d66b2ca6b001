/* Operations on what is in files. */
#define _GNU_SOURCE
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_BYTES (1 << 20)
/* For O_DIRECT, aligned to what any disk asks for. */
static _Alignas(4096) char buffer[MOST_BYTES];

static struct {
    char *at;
    size_t length;
} mappings[26];

static void set(char *letter, int fd) {
    *slot(letter) = fd;
    answer(fd);
}

/* open SLOT PATH FLAGS [MODE] */
static void open_path(char **arg) {
    set(arg[0], open(path(arg[1]), (int)constants(arg[2]) | O_CLOEXEC,
                     arg[3] ? (mode_t)number(arg[3]) : 0));
}

/* openat SLOT DIRECTORY-SLOT PATH FLAGS [MODE] */
static void open_at(char **arg) {
    set(arg[0], openat(*slot(arg[1]), path(arg[2]), (int)constants(arg[3]) | O_CLOEXEC,
                       arg[4] ? (mode_t)number(arg[4]) : 0));
}

/* reopen SLOT SLOT FLAGS: the file that is open in the second, once more, through /proc. */
static void reopen(char **arg) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", *slot(arg[1]));
    set(arg[0], open(self, (int)constants(arg[2]) | O_CLOEXEC));
}

static void close_slot(char **arg) {
    answer(close(*slot(arg[0])));
}

static void duplicate(char **arg) {
    set(arg[0], dup(*slot(arg[1])));
}

static void count_answer(ssize_t n, size_t wanted) {
    if (n >= 0 && (size_t)n != wanted)
        answer_text("%zd", n);
    else
        answer(n);
}

static void write_text(char **arg) {
    count_answer(write(*slot(arg[0]), arg[1], strlen(arg[1])), strlen(arg[1]));
}

static void write_at(char **arg) {
    count_answer(pwrite(*slot(arg[0]), arg[1], strlen(arg[1]), number(arg[2])), strlen(arg[1]));
}

/* fill SLOT LETTER COUNT [OFFSET]: COUNT times LETTER, from an aligned buffer. */
static void fill(char **arg) {
    size_t count = (size_t)number(arg[2]);
    if (count > sizeof buffer)
        bad_script("too many bytes", arg[2]);
    memset(buffer, arg[1][0], count);
    count_answer(arg[3] ? pwrite(*slot(arg[0]), buffer, count, number(arg[3]))
                        : write(*slot(arg[0]), buffer, count),
                 count);
}

static void read_some(char **arg) {
    ssize_t n = read(*slot(arg[0]), buffer, (size_t)number(arg[1]));
    if (n < 0)
        answer(n);
    else
        answer_bytes(buffer, (size_t)n);
}

static void read_at(char **arg) {
    ssize_t n = pread(*slot(arg[0]), buffer, (size_t)number(arg[1]), number(arg[2]));
    if (n < 0)
        answer(n);
    else
        answer_bytes(buffer, (size_t)n);
}

/* writev SLOT WORD WORD, readv SLOT COUNT COUNT */
static void write_vector(char **arg) {
    struct iovec parts[] = {{arg[1], strlen(arg[1])}, {arg[2], strlen(arg[2])}};
    count_answer(writev(*slot(arg[0]), parts, 2), parts[0].iov_len + parts[1].iov_len);
}

static void read_vector(char **arg) {
    size_t first = (size_t)number(arg[1]);
    struct iovec parts[] = {{buffer, first}, {buffer + first, (size_t)number(arg[2])}};
    ssize_t n = readv(*slot(arg[0]), parts, 2);
    if (n < 0)
        answer(n);
    else
        answer_bytes(buffer, (size_t)n);
}

/* get PATH: the first hundred bytes. put PATH TEXT: over what is there. append PATH TEXT. */
static void get(char **arg) {
    int fd = open(path(arg[0]), O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buffer, 100);
    if (n < 0)
        answer(n);
    else
        answer_bytes(buffer, (size_t)n);
    if (fd >= 0)
        close(fd);
}

static void put_with(char **arg, int flags) {
    int fd = open(path(arg[0]), O_WRONLY | O_CLOEXEC | flags);
    answer(fd < 0 ? -1 : write(fd, arg[1], strlen(arg[1])));
    if (fd >= 0)
        close(fd);
}

static void put(char **arg) {
    put_with(arg, 0);
}

static void append(char **arg) {
    put_with(arg, O_APPEND);
}

static void seek(char **arg) {
    off_t at = lseek(*slot(arg[0]), number(arg[1]), (int)constants(arg[2]));
    if (at < 0)
        answer(at);
    else
        answer_text("%lld", (long long)at);
}

static void truncate_path(char **arg) {
    answer(truncate(path(arg[0]), number(arg[1])));
}

static void truncate_slot(char **arg) {
    answer(ftruncate(*slot(arg[0]), number(arg[1])));
}

/* fallocate SLOT FLAGS OFFSET LENGTH */
static void allocate(char **arg) {
    answer(fallocate(*slot(arg[0]), (int)constants(arg[1]), number(arg[2]), number(arg[3])));
}

/* copyrange FROM TO FROM-OFFSET TO-OFFSET LENGTH */
static void copy_range(char **arg) {
    off_t from = number(arg[2]), to = number(arg[3]);
    ssize_t n =
        copy_file_range(*slot(arg[0]), &from, *slot(arg[1]), &to, (size_t)number(arg[4]), 0);
    if (n < 0)
        answer(n);
    else
        answer_text("%zd", n);
}

/* sendfile FROM TO COUNT */
static void send_file(char **arg) {
    ssize_t n = sendfile(*slot(arg[1]), *slot(arg[0]), NULL, (size_t)number(arg[2]));
    if (n < 0)
        answer(n);
    else
        answer_text("%zd", n);
}

/* splice FROM TO COUNT: from a file through a pipe into another. */
static void splice_through(char **arg) {
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) < 0)
        bad_script("pipe", strerror(errno));
    ssize_t n = splice(*slot(arg[0]), NULL, pipes[1], NULL, (size_t)number(arg[2]), 0);
    if (n > 0)
        n = splice(pipes[0], NULL, *slot(arg[1]), NULL, (size_t)n, 0);
    close(pipes[0]);
    close(pipes[1]);
    if (n < 0)
        answer(n);
    else
        answer_text("%zd", n);
}

static void sync_slot(char **arg) {
    answer(fsync(*slot(arg[0])));
}

static void sync_data(char **arg) {
    answer(fdatasync(*slot(arg[0])));
}

static void sync_all(char **arg) {
    answer(syncfs(*slot(arg[0])));
}

static void sync_range(char **arg) {
    answer(sync_file_range(*slot(arg[0]), number(arg[1]), number(arg[2]),
                           SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
}

static sigjmp_buf on_fault;

static void fault(int signal) {
    siglongjmp(on_fault, signal);
}

/* mmap LETTER SLOT PROT FLAGS OFFSET LENGTH */
static void map(char **arg) {
    size_t i = (size_t)(arg[0][0] - 'A') % 26, length = (size_t)number(arg[5]);
    char *at = mmap(NULL, length, (int)constants(arg[2]), (int)constants(arg[3]), *slot(arg[1]),
                    number(arg[4]));
    answer(at == MAP_FAILED ? -1 : 0);
    mappings[i].at = at;
    mappings[i].length = length;
}

/* Touches memory that may be no file's; a signal is the answer. */
static void touch(char **arg, char *to, const char *from, size_t count) {
    (void)arg;
    struct sigaction action = {.sa_handler = fault}, old_bus, old_segv;
    sigaction(SIGBUS, &action, &old_bus);
    sigaction(SIGSEGV, &action, &old_segv);
    int signal = sigsetjmp(on_fault, 1);
    if (signal == 0)
        memcpy(to, from, count);
    sigaction(SIGBUS, &old_bus, NULL);
    sigaction(SIGSEGV, &old_segv, NULL);
    if (signal != 0)
        answer_text("SIG%s", sigabbrev_np(signal));
}

static char *mapped(const char *letter) {
    return mappings[(size_t)(letter[0] - 'A') % 26].at;
}

/* mput LETTER OFFSET TEXT, mget LETTER OFFSET COUNT */
static void map_put(char **arg) {
    touch(arg, mapped(arg[0]) + number(arg[1]), arg[2], strlen(arg[2]));
}

static void map_get(char **arg) {
    size_t count = (size_t)number(arg[2]);
    touch(arg, buffer, mapped(arg[0]) + number(arg[1]), count);
    if (strncmp(last_answer, "SIG", 3) != 0)
        answer_bytes(buffer, count);
}

static void map_sync(char **arg) {
    answer(msync(mapped(arg[0]), mappings[(size_t)(arg[0][0] - 'A') % 26].length,
                 (int)constants(arg[1])));
}

static void unmap(char **arg) {
    answer(munmap(mapped(arg[0]), mappings[(size_t)(arg[0][0] - 'A') % 26].length));
}

void forget_mappings(void) {
    for (size_t i = 0; i < sizeof mappings / sizeof *mappings; i++) {
        if (mappings[i].at != NULL && mappings[i].at != MAP_FAILED)
            munmap(mappings[i].at, mappings[i].length);
        mappings[i].at = NULL;
    }
}

const struct operation data_operations[] = {{"open", open_path, 3, 4},
                                            {"openat", open_at, 4, 5},
                                            {"reopen", reopen, 3, 3},
                                            {"close", close_slot, 1, 1},
                                            {"dup", duplicate, 2, 2},
                                            {"write", write_text, 2, 2},
                                            {"pwrite", write_at, 3, 3},
                                            {"fill", fill, 3, 4},
                                            {"read", read_some, 2, 2},
                                            {"pread", read_at, 3, 3},
                                            {"writev", write_vector, 3, 3},
                                            {"readv", read_vector, 3, 3},
                                            {"get", get, 1, 1},
                                            {"put", put, 2, 2},
                                            {"append", append, 2, 2},
                                            {"seek", seek, 3, 3},
                                            {"truncate", truncate_path, 2, 2},
                                            {"ftruncate", truncate_slot, 2, 2},
                                            {"fallocate", allocate, 4, 4},
                                            {"copyrange", copy_range, 5, 5},
                                            {"sendfile", send_file, 3, 3},
                                            {"splice", splice_through, 3, 3},
                                            {"fsync", sync_slot, 1, 1},
                                            {"fdatasync", sync_data, 1, 1},
                                            {"syncfs", sync_all, 1, 1},
                                            {"syncrange", sync_range, 3, 3},
                                            {"mmap", map, 6, 6},
                                            {"mput", map_put, 3, 3},
                                            {"mget", map_get, 3, 3},
                                            {"msync", map_sync, 2, 2},
                                            {"munmap", unmap, 1, 1},
                                            {NULL, NULL, 0, 0}};
