#define _GNU_SOURCE
#include "reaper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"
#include "process.h"

enum { UNCLAIMED_MAX = 1024 };

// A program that reaper_run waits for; lives on the stack of the thread that waits.
struct run {
    struct run *next;
    pid_t pid;
    bool ended;
    uint32_t status;
    pthread_cond_t changed;
};

static struct run *runs;
static int holds;
// The last ends that nobody has claimed, oldest overwritten first.
static struct {
    pid_t pid;
    struct exit_record record;
} unclaimed[UNCLAIMED_MAX];
static size_t unclaimed_count;
static int signal_fd;

static void child_ended(pid_t pid, const struct exit_record *record) {
    for (struct run *run = runs; run != NULL; run = run->next) {
        if (run->pid == pid) {
            run->ended = true;
            run->status = record->status;
            pthread_cond_signal(&run->changed);
            return;
        }
    }
    if (!process_reaped(pid, record) && holds > 0) {
        size_t index = unclaimed_count++ % UNCLAIMED_MAX;
        unclaimed[index].pid = pid;
        unclaimed[index].record = *record;
    }
}

static void children_ready(struct source *source, uint32_t events) {
    (void)source;
    (void)events;
    struct signalfd_siginfo info;
    while (read(signal_fd, &info, sizeof info) > 0) {
        // one signal may stand for many children: waitpid tells
    }
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        struct exit_record record = {
            .status = WIFSIGNALED(status) ? 128u + (uint32_t)WTERMSIG(status)
                                          : (uint32_t)WEXITSTATUS(status),
            .at = now.tv_sec * 1000000000LL + now.tv_nsec,
        };
        child_ended(pid, &record);
    }
}

void reaper_open(void) {
    static struct source source = {children_ready};
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &children, NULL); // inherited by all threads
    signal(SIGPIPE, SIG_IGN);
    signal_fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd < 0 || !loop_add(signal_fd, EPOLLIN, &source)) {
        log_error("cannot watch children: %s", strerror(errno));
    }
}

// The child gets the three streams, an empty signal mask and SIGPIPE as it was.
static int spawn(char *const arguments[], const int streams[3], pid_t *pid) {
    static char *const environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, pipe;
    sigemptyset(&none);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    for (int i = 0; i < 3; i++) {
        posix_spawn_file_actions_adddup2(&actions, streams[i], i);
    }
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &pipe);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int error = posix_spawn(pid, arguments[0], &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

bool reaper_run(char *const arguments[], const int streams[3], uint32_t *status,
                struct failure *failure) {
    struct run run = {.changed = PTHREAD_COND_INITIALIZER};
    agent_lock(); // so that the child is known before its end can be seen
    int error = spawn(arguments, streams, &run.pid);
    if (error != 0) {
        agent_unlock();
        errno = error;
        return fail_errno(failure, "running %s", arguments[0]);
    }
    run.next = runs;
    runs = &run;
    while (!run.ended) {
        agent_wait(&run.changed);
    }
    struct run **link = &runs;
    while (*link != &run) {
        link = &(*link)->next;
    }
    *link = run.next;
    agent_unlock();
    *status = run.status;
    return true;
}

void reaper_hold(void) {
    holds++;
}

bool reaper_claim(pid_t pid, struct exit_record *record) {
    size_t count = unclaimed_count < UNCLAIMED_MAX ? unclaimed_count : UNCLAIMED_MAX;
    for (size_t i = 0; i < count; i++) {
        if (unclaimed[i].pid == pid) {
            unclaimed[i].pid = 0;
            *record = unclaimed[i].record;
            return true;
        }
    }
    return false;
}

void reaper_release(void) {
    if (--holds == 0) {
        unclaimed_count = 0;
    }
}
