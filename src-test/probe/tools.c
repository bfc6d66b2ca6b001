/* Small tools that tests run inside a container, and on the host for the other end. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (64 * 1024)
static _Alignas(8) unsigned char block[BLOCK];

static int fail(const char *what) {
    fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
    return 124;
}

static bool write_all(int fd, const unsigned char *from, size_t length) {
    while (length > 0) {
        ssize_t n = write(fd, from, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        from += n;
        length -= (size_t)n;
    }
    return true;
}

/* Reads until `length` bytes are there or the input ends. */
static ssize_t read_block(int fd, unsigned char *to, size_t length) {
    size_t got = 0;
    while (got < length) {
        ssize_t n = read(fd, to + got, length - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

/* A 64-bit digest that needs one multiplication a word: it runs on emulated machines. Finds
 * changes, not attackers. */
static uint64_t digest(uint64_t state, const unsigned char *data, size_t length) {
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, 8);
        state = (state ^ word) * 0x9E3779B97F4A7C15u;
        state ^= state >> 29;
    }
    for (; i < length; i++) {
        state = (state ^ data[i]) * 0x9E3779B97F4A7C15u;
        state ^= state >> 29;
    }
    return state;
}

/* hash: the digest and the number of bytes of the input. */
static int hash(int argc, char **argv) {
    (void)argc, (void)argv;
    uint64_t state = 1, total = 0;
    for (ssize_t n; (n = read_block(0, block, BLOCK)) != 0;) {
        if (n < 0)
            return fail("read");
        state = digest(state, block, (size_t)n);
        total += (uint64_t)n;
    }
    printf("%016" PRIx64 " %" PRIu64 "\n", state, total);
    return 0;
}

/* emit BYTES [SEED [FD]]: pseudo-random bytes (xorshift64) on FD, 1 if not given. */
static int emit(int argc, char **argv) {
    if (argc < 2)
        return 124;
    uint64_t left = strtoull(argv[1], NULL, 10);
    uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 10) | 1 : 88172645463325252u;
    int fd = argc > 3 ? atoi(argv[3]) : 1;
    while (left > 0) {
        for (size_t i = 0; i < BLOCK; i += 8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            memcpy(block + i, &state, 8);
        }
        size_t length = left < BLOCK ? (size_t)left : BLOCK;
        if (!write_all(fd, block, length))
            return fail("write");
        left -= length;
    }
    return 0;
}

/* echo: the input to the output, unchanged. */
static int echo(int argc, char **argv) {
    (void)argc, (void)argv;
    for (;;) {
        ssize_t n = read(0, block, BLOCK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail("read");
        if (n == 0)
            return 0;
        if (!write_all(1, block, (size_t)n))
            return fail("write");
    }
}

/* args: how many arguments follow, their length together, and their digest. */
static int args(int argc, char **argv) {
    uint64_t state = 1, total = 0;
    for (int i = 1; i < argc; i++) {
        size_t length = strlen(argv[i]);
        state = digest(state, (unsigned char *)argv[i], length + 1);
        total += length;
    }
    printf("%d %" PRIu64 " %016" PRIx64 "\n", argc - 1, total, state);
    return 0;
}

static int exit_with(int argc, char **argv) {
    return argc > 1 ? atoi(argv[1]) : 0;
}

static void block_signals(sigset_t *signals) {
    sigfillset(signals);
    sigprocmask(SIG_BLOCK, signals, NULL);
}

/* sleep: says "ready", then names each signal it gets; SIGTERM ends it with 42. As PID 1, only what
 * it takes counts. */
static int sleep_until_term(int argc, char **argv) {
    (void)argc, (void)argv;
    sigset_t signals;
    block_signals(&signals);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ready\n");
    for (int number; (number = sigwaitinfo(&signals, NULL)) != SIGTERM || number < 0;)
        if (number > 0 && number != SIGCHLD)
            printf("signal %d\n", number);
    printf("signal %d\n", SIGTERM);
    return 42;
}

static void print_size(void) {
    struct winsize size;
    if (ioctl(0, TIOCGWINSZ, &size) < 0)
        memset(&size, 0, sizeof size);
    printf("size %d %d\n", size.ws_row, size.ws_col);
}

/* tty: whether the streams are a terminal and its size; then the size at each change, until
 * SIGTERM. */
static int tty(int argc, char **argv) {
    (void)argc, (void)argv;
    sigset_t signals;
    block_signals(&signals);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("tty %d %d %d\n", isatty(0), isatty(1), isatty(2));
    print_size();
    for (int number; (number = sigwaitinfo(&signals, NULL)) != SIGTERM;)
        if (number == SIGWINCH)
            print_size();
    return 0;
}

/* squat PATH: takes a unix socket and answers whoever comes with what is no protocol. */
static int squat(int argc, char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (argc < 2 || strlen(argv[1]) >= sizeof address.sun_path || listener < 0) {
        return fail("socket");
    }
    strcpy(address.sun_path, argv[1]);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 8) < 0) {
        return fail(argv[1]);
    }
    signal(SIGPIPE, SIG_IGN);
    for (int peer; (peer = accept(listener, NULL, NULL)) >= 0;) {
        static const char nonsense[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        if (write(peer, nonsense, sizeof nonsense - 1) < 0) {
            perror("probe: write");
        }
        shutdown(peer, SHUT_WR);
        while (read(peer, block, BLOCK) > 0) {
        }
        close(peer);
    }
    return fail("accept");
}

/* clock: the wall clock in milliseconds since the epoch. */
static int show_clock(int argc, char **argv) {
    (void)argc, (void)argv;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    printf("%lld\n", (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    return 0;
}

static long long monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* One of the ring: takes the time that the one before it wrote, works and sleeps, and passes on its
 * own. Returns how often it was given a time that is yet to come. */
static int ring_member(int cpu, int rounds, int from, int to) {
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(cpu, &own);
    if (sched_setaffinity(0, sizeof own, &own) < 0) {
        return fail("sched_setaffinity");
    }
    int backwards = 0;
    for (int i = 0; i < rounds; i++) {
        long long before, now;
        if (read(from, &before, sizeof before) != sizeof before) {
            return fail("read");
        }
        backwards += monotonic() < before;
        for (now = monotonic(); monotonic() - now < 200000;) {
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        now = monotonic();
        if (write(to, &now, sizeof now) != sizeof now) {
            return fail("write");
        }
    }
    return backwards < 100 ? backwards : 100;
}

/* ring ROUNDS: a process held to each CPU; each wakes the next by telling it the time. Prints how
 * many finished, and how often a clock was behind that of the CPU before it. */
static int ring(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 1, cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    int pipes[64][2], done = 0, backwards = 0;
    if (cpus > 64) {
        cpus = 64;
    }
    for (int i = 0; i < cpus; i++) {
        if (pipe(pipes[i]) < 0) {
            return fail("pipe");
        }
    }
    for (int i = 0; i < cpus; i++) {
        pid_t child = fork();
        if (child == 0) {
            _exit(ring_member(i, rounds, pipes[i][0], pipes[(i + 1) % cpus][1]));
        } else if (child < 0) {
            return fail("fork");
        }
    }
    long long now = monotonic();
    if (write(pipes[0][1], &now, sizeof now) != sizeof now) {
        return fail("write");
    }
    for (int status; wait(&status) > 0;) {
        done += WIFEXITED(status);
        backwards += WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    }
    printf("ring=%d\nbackwards=%d\n", done, backwards);
    return 0;
}

int run_tool(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(int, char **);
    } tools[] = {{"hash", hash},   {"emit", emit},        {"echo", echo},
                 {"args", args},   {"exit", exit_with},   {"sleep", sleep_until_term},
                 {"tty", tty},     {"host", show_host},   {"squat", squat},
                 {"relay", relay}, {"clock", show_clock}, {"ring", ring}};
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++)
        if (strcmp(argv[0], tools[i].name) == 0)
            return tools[i].run(argc, argv);
    return -1;
}
