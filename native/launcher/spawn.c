#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failure.h"

// A JVM starts in well under a second; software emulation and a loaded machine take many times
// that.
enum { START_MILLIS = 180 * 1000, READY_FD = 3, LAST_WORDS = 2048, LOG_TAIL = 1 << 20 };

static const long CGROUP2_MAGIC = 0x63677270; // include/uapi/linux/magic.h

static int open_log(const char *path) {
    char previous[PATH_MAX + 96];
    snprintf(previous, sizeof previous, "%s.1", path);
    rename(path, previous);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail_errno("cannot open the engine's log %s", path);
    }
    return fd;
}

static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) {
        // The engine works without what is written here.
    }
    close(fd);
}

// containerd's unit must be able to end and to be limited without the engine. Where the host's
// cgroups are not version 2, or are not ours to write, the engine stays where it is.
static void enter_own_cgroup(const char *directory) {
    struct statfs mounted;
    if (statfs("/sys/fs/cgroup", &mounted) < 0 || mounted.f_type != CGROUP2_MAGIC) {
        return;
    }
    char path[PATH_MAX + 128];
    mkdir("/sys/fs/cgroup/rund", 0755);
    snprintf(path, sizeof path, "/sys/fs/cgroup/rund/%s", strrchr(directory, '/') + 1);
    mkdir(path, 0755);
    strcat(path, "/cgroup.procs");
    write_file(path, "0");
}

// The process that listens at this address; this one if there is none.
static pid_t listener(const char *address) {
    struct ucred peer = {.pid = 0};
    socklen_t length = sizeof peer;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && strlen(address) < sizeof at.sun_path) {
        strcpy(at.sun_path, address);
        if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) {
            peer.pid = 0;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return peer.pid > 0 ? peer.pid : getpid();
}

// Like containerd's own shims: a little more likely to be killed than containerd, whoever has
// started this.
static void adjust_oom_score(const char *containerd) {
    char path[64];
    char text[16] = "";
    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", listener(containerd));
    FILE *file = fopen(path, "re");
    if (file != NULL && fgets(text, sizeof text, file) != NULL) {
        int score = atoi(text);
        snprintf(text, sizeof text, "%d", score < 1000 ? score + 1 : score);
        write_file("/proc/self/oom_score_adj", text);
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void reset_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++) {
        signal(number, SIG_DFL);
    }
}

// Only what the engine may need: containerd's environment speaks of containerd (NOTIFY_SOCKET,
// GOMAXPROCS).
static char **engine_environment(void) {
    static const char *const kept[] = {"PATH=", "LANG=", "TZ=", "RUND_"};
    static char *environment[256];
    size_t count = 0;
    for (char **entry = environ; *entry != NULL && count < 255; entry++) {
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
            if (strncmp(*entry, kept[i], strlen(kept[i])) == 0) {
                environment[count++] = *entry;
                break;
            }
        }
    }
    return environment;
}

static void put_descriptors(int log, int ready) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    // Out of the way of the numbers that are to be filled.
    log = fcntl(log, F_DUPFD_CLOEXEC, 10);
    ready = fcntl(ready, F_DUPFD_CLOEXEC, 10);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    dup2(ready, READY_FD);
    syscall(SYS_close_range, READY_FD + 1U, ~0U, 0U);
}

static _Noreturn void become_engine(const char *program, char *const *arguments,
                                    const struct engine *engine, const char *containerd, int log,
                                    int ready) {
    setsid();
    enter_own_cgroup(engine->directory);
    adjust_oom_score(containerd);
    reset_signals();
    umask(022);
    struct rlimit files = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_NOFILE, &files);
    if (chdir("/") == 0) {
        put_descriptors(log, ready);
        execve(program, arguments, engine_environment());
    }
    dprintf(READY_FD, "cannot execute %s: %s; is rund completely installed?", program,
            strerror(errno));
    _exit(127);
}

// The end of the log, or the beginning of a JVM's report of its own death, where the reason is.
static void copy_last_words(const char *log) {
    static const char report[] = "# A fatal error has been detected";
    static char tail[LOG_TAIL + 1];
    FILE *file = fopen(log, "re");
    if (file == NULL) {
        return;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    fseek(file, size > LOG_TAIL ? size - LOG_TAIL : 0, SEEK_SET);
    size_t length = fread(tail, 1, LOG_TAIL, file);
    tail[length] = '\0';
    fclose(file);
    const char *words = strstr(tail, report);
    if (words == NULL) {
        words = tail + (length > LAST_WORDS ? length - LAST_WORDS : 0);
    }
    fprintf(stderr, "%.*s\n", LAST_WORDS, words);
}

// Reads what the engine says until it says ready or closes its end. False when it is silent for too
// long.
static bool read_answer(int ready, char *answer, size_t size) {
    size_t length = 0;
    answer[0] = '\0';
    while (strcmp(answer, "ready\n") != 0 && length < size - 1) {
        struct pollfd readable = {.fd = ready, .events = POLLIN};
        int count = poll(&readable, 1, START_MILLIS);
        if (count == 0) {
            return false;
        }
        ssize_t got = count < 0 ? -1 : read(ready, answer + length, size - 1 - length);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            break;
        }
        length += got < 0 ? 0 : (size_t)got;
        answer[length] = '\0';
    }
    return true;
}

static void await_ready(pid_t pid, int ready, const struct engine *engine) {
    char answer[4096];
    if (!read_answer(ready, answer, sizeof answer)) {
        kill(-pid, SIGKILL);
        fail("the engine did not get ready in %d s; see %s", START_MILLIS / 1000, engine->log);
    }
    if (strcmp(answer, "ready\n") == 0) {
        return;
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (answer[0] != '\0') {
        fail("the engine cannot start: %s", answer);
    }
    fprintf(stderr,
            "containerd-shim-rund-v2: the engine ended while it started (%s %d). From %s:\n",
            WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), engine->log);
    copy_last_words(engine->log);
    exit(1);
}

void start_engine(const char *install_root, const struct config *config,
                  const struct invocation *invocation, const struct engine *engine) {
    char program[PATH_MAX + 32];
    snprintf(program, sizeof program, "%s/libexec/rund-engine", install_root);
    const char *const arguments[] = {"rund-engine",
                                     "--socket",
                                     engine->socket,
                                     "--containerd-ttrpc",
                                     invocation->containerd_ttrpc,
                                     "--config",
                                     config->path,
                                     "--log",
                                     engine->log,
                                     "--ready-fd",
                                     "3",
                                     NULL};
    int log = open_log(engine->log);
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) < 0) {
        fail_errno("cannot make a pipe");
    }
    pid_t pid = fork();
    if (pid < 0) {
        fail_errno("cannot start a process for the engine");
    }
    if (pid == 0) {
        become_engine(program, (char *const *)arguments, engine, invocation->containerd_address,
                      log, ready[1]);
    }
    close(ready[1]);
    await_ready(pid, ready[0], engine);
}
