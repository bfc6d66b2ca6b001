/* The operations, and the comparison with the model. */
#define _GNU_SOURCE
#include "fsx.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define LONGEST (96 * 1024)
static _Alignas(PAGE) unsigned char buffer[LARGEST];

static uint64_t next_random(struct run *run) {
    /* xorshift64* */
    run->random ^= run->random >> 12;
    run->random ^= run->random << 25;
    run->random ^= run->random >> 27;
    return run->random * 2685821657736338717u;
}

static size_t below(struct run *run, size_t limit) {
    return limit == 0 ? 0 : (size_t)(next_random(run) >> 11) % limit;
}

static void note(struct run *run, const char *format, ...) {
    struct model *m = run->model;
    char *line = m->log[m->next_line++ % REMEMBERED];
    int used = snprintf(line, LINE, "%llu pid %d: ", (unsigned long long)m->operations, getpid());
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, LINE - (size_t)used, format, arguments);
    va_end(arguments);
}

void failed(struct run *run, const char *format, ...) {
    int error = errno;
    struct model *m = run->model;
    va_list arguments;
    va_start(arguments, format);
    printf("fsx: %s: ", run->path);
    vprintf(format, arguments);
    va_end(arguments);
    printf(" (errno then: %s)\nfsx: size %zu; the last operations:\n", strerror(error), m->size);
    uint64_t first = m->next_line > REMEMBERED ? m->next_line - REMEMBERED : 0;
    for (uint64_t i = first; i < m->next_line; i++)
        printf("fsx:   %s\n", m->log[i % REMEMBERED]);
    fflush(stdout);
    _exit(1);
}

static void compare(struct run *run, const unsigned char *got, size_t offset, size_t length,
                    const char *by) {
    const unsigned char *wanted = run->model->bytes + offset;
    if (memcmp(got, wanted, length) == 0)
        return;
    size_t first = 0, wrong = 0;
    while (got[first] == wanted[first])
        first++;
    for (size_t i = first; i < length; i++)
        wrong += got[i] != wanted[i];
    errno = 0;
    failed(run, "%s of %zu at 0x%zx: 0x%zx is %02x, should be %02x; %zu bytes are wrong", by,
           length, offset, offset + first, got[first], wanted[first], wrong);
}

/* The model of a size: what is cut off comes back as zeros. */
static void resize(struct model *m, size_t size) {
    if (size < m->size)
        memset(m->bytes + size, 0, m->size - size);
    m->size = size;
}

/* New content that differs from most of what was there before. */
static void new_bytes(struct run *run, size_t offset, size_t length) {
    uint64_t value = next_random(run);
    for (size_t i = 0; i < length; i++)
        buffer[i] = (unsigned char)((value >> (i % 8 * 8)) + i / 8);
    memcpy(run->model->bytes + offset, buffer, length);
    if (offset + length > run->model->size)
        run->model->size = offset + length;
}

/* An offset and a length that a file of the largest size has; the offset within the file, or a
 * little behind it. */
static size_t somewhere(struct run *run, size_t *length) {
    size_t offset = below(run, run->model->size + LONGEST);
    if (offset >= LARGEST)
        offset = LARGEST - 1;
    *length = 1 + below(run, below(run, 8) == 0 ? LONGEST : 3 * PAGE);
    if (*length > LARGEST - offset)
        *length = LARGEST - offset;
    return offset;
}

/* The same within the file; a length of 0 if it is empty. */
static size_t inside(struct run *run, size_t *length) {
    size_t size = run->model->size, offset = below(run, size);
    *length = 1 + below(run, below(run, 8) == 0 ? LONGEST : 3 * PAGE);
    if (*length > size - offset)
        *length = size - offset;
    return offset;
}

static void expect_count(struct run *run, ssize_t got, size_t wanted, const char *what) {
    if (got < 0 || (size_t)got != wanted)
        failed(run, "%s: %zd instead of %zu", what, got, wanted);
}

static void do_write(struct run *run) {
    size_t length, offset = somewhere(run, &length);
    note(run, "write 0x%zx at 0x%zx", length, offset);
    new_bytes(run, offset, length);
    expect_count(run, pwrite(run->fd, buffer, length, (off_t)offset), length, "write");
}

static void do_append(struct run *run) {
    size_t length, offset = run->model->size;
    somewhere(run, &length);
    if (length > LARGEST - offset)
        return;
    note(run, "append 0x%zx at 0x%zx", length, offset);
    new_bytes(run, offset, length);
    expect_count(run, write(run->append_fd, buffer, length), length, "append");
}

static void do_read(struct run *run) {
    size_t length, offset = somewhere(run, &length), size = run->model->size;
    size_t there = offset >= size ? 0 : length < size - offset ? length : size - offset;
    note(run, "read 0x%zx at 0x%zx", length, offset);
    expect_count(run, pread(run->fd, buffer, length, (off_t)offset), there, "read");
    compare(run, buffer, offset, there, "read");
}

static void do_truncate(struct run *run) {
    size_t size =
        below(run, 4) == 0 ? below(run, LARGEST + 1) : below(run, run->model->size + PAGE);
    if (size > LARGEST)
        size = LARGEST;
    note(run, "truncate 0x%zx to 0x%zx", run->model->size, size);
    resize(run->model, size);
    if (ftruncate(run->fd, (off_t)size) < 0)
        failed(run, "truncate");
}

static void do_punch(struct run *run) {
    size_t length, offset = inside(run, &length);
    bool zero = run->can_zero && below(run, 2);
    if (length == 0 || (!zero && !run->can_punch))
        return;
    note(run, "%s 0x%zx at 0x%zx", zero ? "zero" : "punch", length, offset);
    memset(run->model->bytes + offset, 0, length);
    if (fallocate(run->fd,
                  (zero ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE) | FALLOC_FL_KEEP_SIZE,
                  (off_t)offset, (off_t)length) < 0)
        failed(run, "fallocate");
}

static void do_allocate(struct run *run) {
    size_t length, offset = somewhere(run, &length);
    note(run, "allocate 0x%zx at 0x%zx", length, offset);
    if (offset + length > run->model->size)
        run->model->size = offset + length;
    if (fallocate(run->fd, 0, (off_t)offset, (off_t)length) < 0)
        failed(run, "fallocate");
}

static void do_map_read(struct run *run) {
    size_t length, offset = inside(run, &length);
    if (length == 0)
        return;
    note(run, "read by map 0x%zx at 0x%zx", length, offset);
    /* Behind the end of the file the rest of its last page is zero, and so is the model. */
    size_t page_end = (offset + length + PAGE - 1) / PAGE * PAGE;
    bool tail = offset + length == run->model->size && page_end <= LARGEST && !run->shared;
    compare(run, run->map + offset, offset, tail ? page_end - offset : length, "read by map");
}

static void do_map_write(struct run *run) {
    size_t length, offset = inside(run, &length);
    if (length == 0)
        return;
    note(run, "write by map 0x%zx at 0x%zx", length, offset);
    new_bytes(run, offset, length);
    memcpy(run->map + offset, buffer, length);
}

static void do_map_sync(struct run *run) {
    note(run, "msync");
    if (run->model->size > 0 && msync(run->map, run->model->size, MS_SYNC) < 0)
        failed(run, "msync");
}

static void do_copy(struct run *run) {
    size_t length, from = inside(run, &length), to = below(run, LARGEST - length);
    if (length == 0 || (to < from + length && from < to + length))
        return;
    note(run, "copy 0x%zx from 0x%zx to 0x%zx", length, from, to);
    for (size_t done = 0; done < length;) {
        off_t in = (off_t)(from + done), out = (off_t)(to + done);
        ssize_t n = copy_file_range(run->fd, &in, run->fd, &out, length - done, 0);
        if (n <= 0)
            failed(run, "copy_file_range: %zd after 0x%zx", n, done);
        done += (size_t)n;
    }
    memcpy(run->model->bytes + to, run->model->bytes + from, length);
    if (to + length > run->model->size)
        run->model->size = to + length;
}

/* Past the page cache, in whole pages. */
static void do_direct(struct run *run) {
    size_t length, offset = somewhere(run, &length) / PAGE * PAGE;
    length = (length + PAGE - 1) / PAGE * PAGE;
    if (run->direct_fd < 0 || length > LARGEST - offset)
        return;
    if (below(run, 2)) {
        note(run, "direct write 0x%zx at 0x%zx", length, offset);
        new_bytes(run, offset, length);
        expect_count(run, pwrite(run->direct_fd, buffer, length, (off_t)offset), length,
                     "direct write");
        return;
    }
    size_t size = run->model->size, there = offset >= size           ? 0
                                            : length < size - offset ? length
                                                                     : size - offset;
    note(run, "direct read 0x%zx at 0x%zx", length, offset);
    expect_count(run, pread(run->direct_fd, buffer, length, (off_t)offset), there, "direct read");
    compare(run, buffer, offset, there, "direct read");
}

/* What is said to be a hole must be zeros. */
static void do_seek(struct run *run) {
    size_t size = run->model->size, from = below(run, size);
    if (size == 0)
        return;
    note(run, "seek from 0x%zx", from);
    off_t hole = lseek(run->fd, (off_t)from, SEEK_HOLE);
    if (hole < (off_t)from || hole > (off_t)size)
        failed(run, "SEEK_HOLE says 0x%llx", (long long)hole);
    off_t data = lseek(run->fd, hole, SEEK_DATA);
    if (data < 0 && errno != ENXIO)
        failed(run, "SEEK_DATA");
    size_t end = data < 0 ? size : (size_t)data;
    for (size_t i = (size_t)hole; i < end; i++)
        if (run->model->bytes[i] != 0)
            failed(run, "SEEK_HOLE 0x%zx to 0x%zx, but 0x%zx is no zero", (size_t)hole, end, i);
}

static void do_sync(struct run *run) {
    bool data_only = below(run, 2);
    note(run, data_only ? "fdatasync" : "fsync");
    if ((data_only ? fdatasync(run->fd) : fsync(run->fd)) < 0)
        failed(run, "sync");
}

static void do_rename(struct run *run) {
    char other[4096];
    if (run->shared)
        return;
    snprintf(other, sizeof other, "%s.renamed", run->path);
    note(run, "rename there and back");
    if (rename(run->path, other) < 0 || rename(other, run->path) < 0)
        failed(run, "rename");
}

/* With a shared file not: POSIX gives a process's locks away at any close. */
static void do_reopen(struct run *run) {
    note(run, run->shared ? "read all" : "reopen");
    if (!run->shared) {
        close_file(run);
        open_file(run);
    }
    compare_all(run, run->shared ? "all" : "after reopening");
}

void compare_all(struct run *run, const char *when) {
    size_t size = run->model->size;
    ssize_t got = 0;
    for (size_t done = 0; done < size; done += (size_t)got)
        if ((got = pread(run->fd, buffer + done, sizeof buffer - done, (off_t)done)) <= 0)
            failed(run, "%s: read %zd after 0x%zx", when, got, done);
    compare(run, buffer, 0, size, when);
}

static void check_size(struct run *run) {
    struct stat by_path, by_file;
    if (stat(run->path, &by_path) < 0 || fstat(run->fd, &by_file) < 0)
        failed(run, "stat");
    if ((size_t)by_path.st_size != run->model->size || (size_t)by_file.st_size != run->model->size)
        failed(run, "size %lld by name, %lld by file, should be %zu", (long long)by_path.st_size,
               (long long)by_file.st_size, run->model->size);
}

void open_file(struct run *run) {
    run->fd = open(run->path, O_RDWR | O_CLOEXEC);
    run->append_fd = open(run->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    run->direct_fd = open(run->path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (run->fd < 0 || run->append_fd < 0)
        failed(run, "open");
    run->map = mmap(NULL, LARGEST, PROT_READ | PROT_WRITE, MAP_SHARED, run->fd, 0);
    if (run->map == MAP_FAILED)
        failed(run, "mmap");
}

void close_file(struct run *run) {
    if (munmap(run->map, LARGEST) < 0 || close(run->append_fd) < 0 || close(run->fd) < 0)
        failed(run, "close");
    if (run->direct_fd >= 0)
        close(run->direct_fd);
}

void one_operation(struct run *run) {
    static const struct {
        void (*run)(struct run *);
        size_t weight;
    } operations[] = {{do_write, 20},   {do_append, 5},   {do_read, 20},     {do_truncate, 8},
                      {do_punch, 8},    {do_allocate, 2}, {do_map_read, 12}, {do_map_write, 12},
                      {do_map_sync, 3}, {do_copy, 6},     {do_direct, 6},    {do_seek, 4},
                      {do_sync, 2},     {do_rename, 2},   {do_reopen, 2}};
    size_t total = 0;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        total += operations[i].weight;
    size_t choice = below(run, total), i = 0;
    while (choice >= operations[i].weight)
        choice -= operations[i++].weight;
    run->model->operations++;
    operations[i].run(run);
    check_size(run);
}
