/* Operations on the process of a row and on its helpers, and what goes between processes through a
 * file system. */
#define _GNU_SOURCE
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* needs FEATURE: ends the row if the file system cannot do that. */
static void needs(char **arg) {
    const bool *present = feature(arg[0]);
    if (present == NULL)
        bad_script("no such feature", arg[0]);
    if (!*present)
        answer_text("unable: no %s", arg[0]);
}

/* user UID GID [GROUP,GROUP...]: becomes that user, without capabilities. */
static void become(char **arg) {
    gid_t groups[16];
    size_t count = 0;
    for (const char *g = arg[2]; g; g = strchr(g, ',') ? strchr(g, ',') + 1 : NULL)
        groups[count++ % 16] = (gid_t)strtoul(g, NULL, 10);
    gid_t gid = (gid_t)number(arg[1]);
    uid_t uid = (uid_t)number(arg[0]);
    answer(setgroups(count, groups) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid) ? -1
                                                                                            : 0);
}

static void change_umask(char **arg) {
    umask((mode_t)number(arg[0]));
}

/* limit BYTES: the largest file that this process may write */
static void limit(char **arg) {
    struct rlimit l = {(rlim_t)number(arg[0]), (rlim_t)number(arg[0])};
    signal(SIGXFSZ, SIG_IGN);
    answer(setrlimit(RLIMIT_FSIZE, &l));
}

static void pause_for(char **arg) {
    long long ms = number(arg[0]);
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* A helper is a fork of the row's process, made when first named; it has the files that were open
 * then. */
static struct {
    pid_t pid;
    int commands;
} helpers[10];

static void serve(int commands) {
    static char command[256];
    for (ssize_t n; (n = recv(commands, command, sizeof command - 1, 0)) > 0;) {
        command[n] = 0;
        run_operation(command);
        if (send(commands, last_answer, strlen(last_answer) + 1, 0) < 0)
            _exit(1);
    }
    _exit(0);
}

static int helper(const char *digit) {
    size_t i = (size_t)(digit[0] - '0');
    if (i > 9)
        bad_script("not a helper", digit);
    if (helpers[i].pid == 0) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
            bad_script("socketpair", strerror(errno));
        helpers[i].pid = fork();
        if (helpers[i].pid == 0) {
            close(ends[0]);
            memset(helpers, 0, sizeof helpers);
            serve(ends[1]);
        }
        close(ends[1]);
        helpers[i].commands = ends[0];
    }
    return helpers[i].commands;
}

static void send_command(int to, char **arg) {
    char command[256] = "";
    for (size_t i = 0; i < MOST_WORDS - 1 && arg[i]; i++) {
        size_t used = strlen(command);
        snprintf(command + used, sizeof command - used, "%s ", arg[i]);
    }
    if (send(to, command, strlen(command), 0) < 0)
        bad_script("helper", strerror(errno));
}

static void receive_answer(int from) {
    ssize_t n = recv(from, last_answer, sizeof last_answer - 1, 0);
    if (n <= 0)
        answer_text("helper ended");
}

/* @ DIGIT OPERATION...: helper does it. @& DIGIT OPERATION...: does not wait. wait DIGIT: its
 * answer. pending DIGIT: "yes" while it has none. */
static void by_helper(char **arg) {
    int to = helper(arg[0]);
    send_command(to, arg + 1);
    receive_answer(to);
}

static void by_helper_later(char **arg) {
    send_command(helper(arg[0]), arg + 1);
}

static void await(char **arg) {
    receive_answer(helper(arg[0]));
}

static void pending(char **arg) {
    struct pollfd p = {.fd = helper(arg[0]), .events = POLLIN};
    answer_text(poll(&p, 1, 200) == 0 ? "yes" : "no");
}

/* end DIGIT: kills a helper */
static void end_helper(char **arg) {
    size_t i = (size_t)(arg[0][0] - '0') % 10;
    kill(helpers[i].pid, SIGKILL);
    waitpid(helpers[i].pid, NULL, 0);
}

/* self PATH: puts this program there. run PATH: runs a program that is such a copy, and waits: the
 * answer is "ran" or exec's errno. start DIGIT PATH: the same, running until it is ended. */
static void copy_self(char **arg) {
    static char block[1 << 16];
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(path(arg[0]), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0755);
    ssize_t n = 0;
    while (from >= 0 && to >= 0 && (n = read(from, block, sizeof block)) > 0)
        if (write(to, block, (size_t)n) != n) {
            n = -1;
            break;
        }
    answer(from < 0 || to < 0 ? -1 : n);
    close(from);
    close(to);
}

static void run_program(char **arg) {
    /* A usage message is all that it does. */
    int report[2], status, error = 0;
    if (pipe2(report, O_CLOEXEC) < 0)
        bad_script("pipe", strerror(errno));
    const char *program = path(arg[0]);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execl(program, program, NULL);
        error = errno;
        _exit(write(report[1], &error, sizeof error) < 0);
    }
    close(report[1]);
    ssize_t n = read(report[0], &error, sizeof error);
    close(report[0]);
    waitpid(child, &status, 0);
    if (n == sizeof error) {
        errno = error;
        answer(-1);
    } else {
        answer_text(WIFEXITED(status) ? "ran" : "died");
    }
}

/* executing PATH: becomes that program, which waits (see main: "posix-table sleep"). For a helper,
 * with @&. */
static void executing(char **arg) {
    const char *program = path(arg[0]);
    execl(program, program, "sleep", NULL);
    answer(-1);
}

static socklen_t address_of(const char *name, struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof address->sun_path, "%s", name);
    return sizeof *address;
}

/* bind SLOT PATH: listens on a new socket. connect SLOT PATH. accept SLOT LISTENER */
static void bind_socket(char **arg) {
    struct sockaddr_un address;
    socklen_t length = address_of(path(arg[1]), &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    answer(bind(fd, (struct sockaddr *)&address, length) || listen(fd, 4) ? -1 : 0);
    *slot(arg[0]) = fd;
}

static void connect_socket(char **arg) {
    struct sockaddr_un address;
    socklen_t length = address_of(path(arg[1]), &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    answer(connect(fd, (struct sockaddr *)&address, length));
    *slot(arg[0]) = fd;
}

static void accept_socket(char **arg) {
    int fd = accept4(*slot(arg[1]), NULL, NULL, SOCK_CLOEXEC);
    *slot(arg[0]) = fd;
    answer(fd);
}

/* watch SLOT PATH MASK: inotify. events SLOT: what has come, by name, with commas */
static void watch(char **arg) {
    int fd = *slot(arg[0]) >= 0 ? *slot(arg[0]) : inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    *slot(arg[0]) = fd;
    answer(inotify_add_watch(fd, path(arg[1]), (uint32_t)constants(arg[2])));
}

static void events(char **arg) {
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {{IN_CREATE, "create"}, {IN_MODIFY, "modify"},
                 {IN_DELETE, "delete"}, {IN_DELETE_SELF, "delete-self"},
                 {IN_ATTRIB, "attrib"}, {IN_MOVED_FROM, "from"},
                 {IN_MOVED_TO, "to"}};
    _Alignas(struct inotify_event) char block[4096];
    char line[512] = "";
    ssize_t n = read(*slot(arg[0]), block, sizeof block);
    if (n < 0) {
        answer(n);
        return;
    }
    for (char *at = block; at < block + n;) {
        const struct inotify_event *e = (const struct inotify_event *)at;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (e->mask & names[i].bit) {
                size_t used = strlen(line);
                snprintf(line + used, sizeof line - used, "%s%s", used ? "," : "", names[i].name);
            }
        at += sizeof *e + e->len;
    }
    answer_text("%s", line);
}

const struct operation process_operations[] = {{"needs", needs, 1, 1},
                                               {"user", become, 2, 3},
                                               {"umask", change_umask, 1, 1},
                                               {"limit", limit, 1, 1},
                                               {"sleep", pause_for, 1, 1},
                                               {"@", by_helper, 2, MOST_WORDS},
                                               {"@&", by_helper_later, 2, MOST_WORDS},
                                               {"wait", await, 1, 1},
                                               {"pending", pending, 1, 1},
                                               {"end", end_helper, 1, 1},
                                               {"self", copy_self, 1, 1},
                                               {"run", run_program, 1, 1},
                                               {"executing", executing, 1, 1},
                                               {"bind", bind_socket, 2, 2},
                                               {"connect", connect_socket, 2, 2},
                                               {"accept", accept_socket, 2, 2},
                                               {"watch", watch, 3, 3},
                                               {"events", events, 1, 1},
                                               {NULL, NULL, 0, 0}};
