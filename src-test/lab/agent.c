/* The lab's PID 1: runs commands for `lab exec`, reaps orphans. Usage: agent ADDRESS-FILE (`PORT
 * TOKEN`) */
#define _GNU_SOURCE
#include "frame.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* One command: its ends of the pipes (or of the terminal), -1 once closed. */
struct command {
    pid_t pid;
    int input, output, error, pidfd;
    bool terminal, input_ended;
    size_t pending;
    char queue[WINDOW];
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Takes the next NUL-terminated string of a request; NULL when there is none left. */
static char *next_string(char **at, const char *end) {
    char *start = *at;
    char *nul = start < end ? memchr(start, 0, (size_t)(end - start)) : NULL;
    if (!nul)
        return NULL;
    *at = nul + 1;
    return start;
}

static _Noreturn void run(const char *folder, char **argv, char **env) {
    signal(SIGPIPE, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    if (chdir(folder) < 0) {
        fprintf(stderr, "lab: cannot enter %s in the lab: %s\n", folder, strerror(errno));
        _exit(126);
    }
    environ = env;
    execvp(argv[0], argv);
    fprintf(stderr, "lab: cannot run %s in the lab: %s\n", argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

static void start(struct command *c, const struct request *r, const char *folder, char **argv,
                  char **env) {
    if (r->terminal) {
        struct winsize size = {.ws_row = r->rows, .ws_col = r->columns};
        c->terminal = true;
        c->pid = forkpty(&c->output, NULL, NULL, &size);
        if (c->pid == 0)
            run(folder, argv, env);
        c->input = fcntl(c->output, F_DUPFD_CLOEXEC, 0);
    } else {
        int in[2], out[2], err[2];
        if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
            die("pipe");
        c->pid = fork();
        if (c->pid == 0) {
            setsid();
            dup2(in[0], 0);
            dup2(out[1], 1);
            dup2(err[1], 2);
            run(folder, argv, env);
        }
        close(in[0]);
        close(out[1]);
        close(err[1]);
        c->input = in[1];
        c->output = out[0];
        c->error = err[0];
    }
    if (c->pid < 0)
        die("fork");
    c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    if (c->pidfd < 0)
        die("pidfd_open");
    fcntl(c->input, F_SETFL, fcntl(c->input, F_GETFL) | O_NONBLOCK);
    fcntl(c->output, F_SETFL, fcntl(c->output, F_GETFL) | O_NONBLOCK);
    if (c->error >= 0)
        fcntl(c->error, F_SETFL, fcntl(c->error, F_GETFL) | O_NONBLOCK);
}

/* Sends on what the command wrote; returns whether there may be more at once. */
static bool relay(int socket, int *from, enum frame_type type) {
    static char buffer[CHUNK];
    if (*from < 0)
        return false;
    ssize_t n = read(*from, buffer, sizeof buffer);
    if (n > 0)
        return send_frame(socket, type, buffer, (uint32_t)n);
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        close_fd(from);
    return false;
}

static void feed(int socket, struct command *c) {
    ssize_t n = write(c->input, c->queue, c->pending);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        close_fd(&c->input);
        n = (ssize_t)c->pending;
    }
    c->pending -= (size_t)n;
    memmove(c->queue, c->queue + n, c->pending);
    uint32_t taken = (uint32_t)n;
    send_frame(socket, TAKEN, &taken, sizeof taken);
}

/* One frame of the client; false when it is gone or breaks the protocol. */
static bool hear(int socket, struct command *c) {
    struct frame head;
    char small[8];
    if (!read_full(socket, &head, sizeof head))
        return false;
    if (head.type == INPUT) {
        if (head.length > WINDOW - c->pending)
            return false;
        if (!read_full(socket, c->queue + c->pending, head.length))
            return false;
        c->pending += head.length;
        c->input_ended |= head.length == 0;
        if (c->input < 0 && c->pending > 0) {
            uint32_t dropped = (uint32_t)c->pending;
            c->pending = 0;
            send_frame(socket, TAKEN, &dropped, sizeof dropped);
        }
        return true;
    }
    if (head.length != 4 || !read_full(socket, small, head.length))
        return false;
    if (head.type == SIGNAL) {
        uint32_t number;
        memcpy(&number, small, sizeof number);
        kill(-c->pid, (int)number);
    } else if (head.type == RESIZE && c->terminal && c->output >= 0) {
        uint16_t size[2];
        memcpy(size, small, sizeof size);
        ioctl(c->output, TIOCSWINSZ, &(struct winsize){.ws_row = size[0], .ws_col = size[1]});
    }
    return true;
}

static void end_early(struct command *c) {
    struct pollfd gone = {c->pidfd, POLLIN, 0};
    kill(-c->pid, SIGTERM);
    poll(&gone, 1, 3000);
    kill(-c->pid, SIGKILL);
}

static void attend(int socket, struct command *c) {
    for (;;) {
        if (c->input >= 0 && c->input_ended && c->pending == 0) {
            /* A terminal has no end of input but the character for it. */
            if (c->terminal)
                write_full(c->input, "\4", 1);
            close_fd(&c->input);
        }
        struct pollfd fds[] = {{socket, POLLIN, 0},
                               {c->pidfd, POLLIN, 0},
                               {c->output, POLLIN, 0},
                               {c->error, POLLIN, 0},
                               {c->pending > 0 ? c->input : -1, POLLOUT, 0}};
        if (poll(fds, 5, -1) < 0) {
            if (errno == EINTR)
                continue;
            die("poll");
        }
        if (fds[2].revents)
            relay(socket, &c->output, OUTPUT);
        if (fds[3].revents)
            relay(socket, &c->error, ERROR);
        if (fds[4].revents)
            feed(socket, c);
        if (fds[0].revents && !hear(socket, c)) {
            end_early(c);
            return;
        }
        if (fds[1].revents)
            break;
    }
    /* What it wrote is in the pipes now; a background child may hold them open for ever, so no
     * waiting for their end. */
    while (relay(socket, &c->output, OUTPUT))
        continue;
    while (relay(socket, &c->error, ERROR))
        continue;
    int status;
    waitpid(c->pid, &status, 0);
    uint32_t code =
        WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 128 + (uint32_t)WTERMSIG(status);
    send_frame(socket, EXIT, &code, sizeof code);
}

static void serve(int socket, const char *token) {
    static struct command c = {.input = -1, .output = -1, .error = -1};
    struct frame head;
    struct request r;
    struct timeval patience = {.tv_sec = 10};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (!read_full(socket, &head, sizeof head) || head.type != REQUEST ||
        head.length > REQUEST_MAX || head.length < sizeof r || !read_full(socket, &r, sizeof r))
        return;
    size_t length = head.length - sizeof r;
    char *text = malloc(length);
    if (!text || !read_full(socket, text, length))
        return;
    char *at = text;
    char *end = text + length;
    char *given = next_string(&at, end);
    char *folder = next_string(&at, end);
    char *count = next_string(&at, end);
    if (!count || strcmp(given, token) != 0)
        return;
    size_t arguments = strtoul(count, NULL, 10);
    if (arguments == 0 || arguments > length)
        return;
    /* argv, NULL, environment, NULL: no more strings than bytes. */
    char **strings = calloc(length + 2, sizeof *strings);
    if (!strings)
        return;
    size_t n = 0;
    for (char *s; (s = next_string(&at, end));) {
        strings[n++] = s;
        if (n == arguments)
            strings[n++] = NULL;
    }
    if (n <= arguments)
        return;
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0}, sizeof patience);
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    start(&c, &r, folder, strings, strings + arguments + 1);
    attend(socket, &c);
}

int main(int argc, char **argv) {
    int port;
    char token[TOKEN_LENGTH + 1];
    if (argc != 2 || !read_address(argv[1], &port, token))
        die("address file");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        die("socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        die("bind");
    if (listen(listener, 64) < 0)
        die("listen");
    /* Ignored, not handled: the kernel then reaps our children and the orphans we inherit. */
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (socket < 0)
            continue;
        if (fork() == 0) {
            close(listener);
            signal(SIGCHLD, SIG_DFL);
            serve(socket, token);
            exit(0);
        }
        close(socket);
    }
}
