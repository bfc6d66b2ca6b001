/* fsx [-p PROCESSES] [-P PAIRS] [-s SECONDS] [-n OPERATIONS] [-r SEED] DIR: PROCESSES on a file
 * each, and PAIRS of processes that share one file under its fcntl lock, until SECONDS are over or
 * OPERATIONS done by each. Exit status 1, with the seed and the last operations, if a file is not
 * what it should be. */
#define _GNU_SOURCE
#include "fsx.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t seed;
static long seconds = 10, operations = -1;
static bool can_punch, can_zero;

static void lock(struct run *run, short type) {
    struct flock whole = {.l_type = type, .l_whence = SEEK_SET};
    while (fcntl(run->fd, F_SETLKW, &whole) < 0)
        if (errno != EINTR)
            failed(run, "fcntl lock");
}

/* One operation while no other process has the file. */
static void shared_operation(struct run *run) {
    lock(run, F_WRLCK);
    if (__atomic_add_fetch(&run->model->inside, 1, __ATOMIC_SEQ_CST) != 1)
        failed(run, "two processes have the lock");
    one_operation(run);
    __atomic_sub_fetch(&run->model->inside, 1, __ATOMIC_SEQ_CST);
    lock(run, F_UNLCK);
}

static bool can(const char *path, int mode) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool done = fd >= 0 && fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0;
    close(fd);
    return done;
}

static void process(const char *path, struct model *model, bool shared, uint64_t number) {
    struct run run = {.model = model, .path = path, .shared = shared};
    run.random = (seed + number) * 0x9E3779B97F4A7C15u | 1;
    run.can_punch = can_punch;
    run.can_zero = can_zero;
    time_t end = time(NULL) + seconds;
    open_file(&run);
    long done = 0;
    while (operations < 0 ? time(NULL) < end : done < operations) {
        if (shared)
            shared_operation(&run);
        else
            one_operation(&run);
        done++;
    }
    if (!shared)
        compare_all(&run, "at the end");
    printf("fsx: %s: %ld operations ok, last size %zu\n", path, done, model->size);
    fflush(stdout);
    _exit(0);
}

static struct model *new_model(const char *path) {
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0644);
    struct model *m =
        mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (fd < 0 || m == MAP_FAILED) {
        perror(path);
        exit(125);
    }
    close(fd);
    return m;
}

int main(int argc, char **argv) {
    long processes = 1, pairs = 0;
    if (getrandom(&seed, sizeof seed, 0) < 0)
        seed = (uint64_t)time(NULL);
    seed >>= 32;
    for (int option; (option = getopt(argc, argv, "p:P:s:n:r:")) != -1;) {
        if (option == '?')
            return 125;
        long value = strtol(optarg, NULL, 10);
        *(option == 'p'   ? &processes
          : option == 'P' ? &pairs
          : option == 's' ? &seconds
          : option == 'n' ? &operations
                          : (long *)&seed) = value;
    }
    if (optind + 1 != argc) {
        fprintf(
            stderr,
            "usage: fsx [-p PROCESSES] [-P PAIRS] [-s SECONDS] [-n OPERATIONS] [-r SEED] DIR\n");
        return 125;
    }
    printf("fsx: seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    static char paths[64][4096];
    for (long i = 0; i < processes + pairs && i < 64; i++) {
        bool shared = i >= processes;
        snprintf(paths[i], sizeof paths[i], "%s/fsx-%ld", argv[optind], i);
        struct model *model = new_model(paths[i]);
        can_punch = can(paths[i], FALLOC_FL_PUNCH_HOLE);
        can_zero = can(paths[i], FALLOC_FL_ZERO_RANGE);
        for (int twice = 0; twice <= shared; twice++)
            if (fork() == 0)
                process(paths[i], model, shared, (uint64_t)(i * 2 + twice));
    }
    int status, worst = 0;
    while (wait(&status) > 0)
        if (status != 0) {
            worst = 1;
            if (WIFSIGNALED(status))
                printf("fsx: a process died of signal %d\n", WTERMSIG(status));
        }
    printf("fsx: %s\n", worst ? "failed" : "ok");
    return worst;
}
