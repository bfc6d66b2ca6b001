// Benchmark B8, the guest's half: the init of a VM that works on the disk /dev/vda, writes the
// times into the disk's first block ("NAME MILLISECONDS" a line, then zeros) and resets. A load
// generator as fio would be with ioengine=libaio, direct=1: so many requests under way, at places
// that are the same in every run.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    SMALL = 4 << 10,
    LARGE = 128 << 10,
    AREA = 64 << 20,
    SMALL_REQUESTS = 1000,
    DEPTH = 16,
};

static char buffers[DEPTH][LARGE] __attribute__((aligned(4096)));
static char times[SMALL] __attribute__((aligned(4096)));
static size_t written;
static aio_context_t context;
static int disk;

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void end(void) {
    if (pwrite(disk, times, sizeof times, 0) == sizeof times) {
        fsync(disk);
    }
    reboot(RB_AUTOBOOT);
}

static void check(bool good, const char *what) {
    if (!good) {
        memset(times, 0, sizeof times);
        snprintf(times, sizeof times, "failed %s: %m\n", what);
        end();
    }
}

static off_t next_place(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (off_t)((*state >> 33) % (AREA / SMALL)) * SMALL;
}

// What is done, and how far it is.
struct work {
    uint16_t opcode;
    uint32_t size;
    bool random;
    int left;
    off_t next;
    uint64_t state;
};

static void submit(struct work *work, int slot) {
    off_t place = work->random ? next_place(&work->state) : work->next;
    struct iocb request = {
        .aio_data = (uint64_t)slot,
        .aio_lio_opcode = work->opcode,
        .aio_fildes = (uint32_t)disk,
        .aio_buf = (uintptr_t)buffers[slot],
        .aio_nbytes = work->size,
        .aio_offset = SMALL + place,
    };
    struct iocb *requests[] = {&request};
    check(syscall(SYS_io_submit, context, 1, requests) == 1, "io_submit");
    work->next += work->size;
    work->left--;
}

static void run(struct work *work, int depth) {
    struct io_event events[DEPTH];
    int under_way = 0;
    while (under_way < depth && work->left > 0) {
        submit(work, under_way++);
    }
    while (under_way > 0) {
        long count = syscall(SYS_io_getevents, context, 1, DEPTH, events, NULL);
        check(count > 0, "io_getevents");
        for (long i = 0; i < count; i++) {
            check(events[i].res == work->size, "a request");
            under_way--;
            if (work->left > 0) {
                submit(work, (int)events[i].data);
                under_way++;
            }
        }
    }
}

static void measure(const char *name, uint16_t opcode, bool random, int depth) {
    uint32_t size = random ? SMALL : LARGE;
    struct work work = {
        .opcode = opcode,
        .size = size,
        .random = random,
        .left = random ? SMALL_REQUESTS : AREA / LARGE,
        .state = opcode,
    };
    double start = milliseconds();
    run(&work, depth);
    // With what the disk has kept for later.
    check(opcode == IOCB_CMD_PREAD || fsync(disk) == 0, "fsync");
    double took = milliseconds() - start;
    written += (size_t)snprintf(times + written, sizeof times - written, "%s-%d %.3f\n", name,
                                depth, took);
}

// Whoever runs this where /dev/vda is a disk of his own is not to lose it.
static bool is_empty(void) {
    static const char zeros[SMALL];
    return pread(disk, times, sizeof times, 0) == sizeof times &&
           memcmp(times, zeros, sizeof times) == 0;
}

int main(void) {
    if (getpid() != 1) {
        fputs("disk-bench is the init of a VM: it overwrites /dev/vda\n", stderr);
        return 2;
    }
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    disk = open("/dev/vda", O_RDWR | O_DIRECT);
    if (disk < 0 || !is_empty()) {
        reboot(RB_AUTOBOOT);
    }
    check(syscall(SYS_io_setup, DEPTH, &context) == 0, "io_setup");
    measure("write-128k", IOCB_CMD_PWRITE, false, DEPTH);
    measure("read-128k", IOCB_CMD_PREAD, false, DEPTH);
    measure("randread-4k", IOCB_CMD_PREAD, true, 1);
    measure("randread-4k", IOCB_CMD_PREAD, true, DEPTH);
    measure("randwrite-4k", IOCB_CMD_PWRITE, true, 1);
    measure("randwrite-4k", IOCB_CMD_PWRITE, true, DEPTH);
    end();
    return 1;
}
