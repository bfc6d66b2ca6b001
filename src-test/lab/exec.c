/* Runs a command in the lab, with the caller's folder and environment. Usage: exec ADDRESS-FILE
 * [-t] COMMAND... */
#define _GNU_SOURCE
#include "frame.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>

static struct termios saved_terminal;

static _Noreturn void die(const char *what) {
    fprintf(stderr, "lab: %s\n", what);
    exit(125);
}

static void restore_terminal(void) {
    tcsetattr(0, TCSADRAIN, &saved_terminal);
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("the lab does not answer: run 'lab up'");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static void window_size(struct winsize *size) {
    if (ioctl(0, TIOCGWINSZ, size) < 0)
        *size = (struct winsize){.ws_row = 24, .ws_col = 80};
}

static void ask(int fd, const char *token, bool terminal, char **command) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    char folder[PATH_MAX];
    struct winsize size;
    size_t count = 0;
    if (!out || !getcwd(folder, sizeof folder))
        die("cannot read the current folder");
    while (command[count])
        count++;
    window_size(&size);
    struct request r = {size.ws_row, size.ws_col, terminal};
    fwrite(&r, sizeof r, 1, out);
    fprintf(out, "%s%c%s%c%zu%c", token, 0, folder, 0, count, 0);
    for (char **s = command; *s; s++)
        fwrite(*s, strlen(*s) + 1, 1, out);
    for (char **s = environ; *s; s++)
        fwrite(*s, strlen(*s) + 1, 1, out);
    if (fclose(out) != 0)
        die("out of memory");
    if (length > REQUEST_MAX)
        die("arguments and environment are more than 8 MiB");
    if (!send_frame(fd, REQUEST, text, (uint32_t)length))
        die("the lab went away");
    free(text);
}

/* One frame of the lab. Returns the exit code, or -1 while the command runs. */
static int hear(int fd, size_t *window) {
    static char buffer[CHUNK];
    struct frame head;
    uint32_t number;
    if (!read_full(fd, &head, sizeof head) || head.length > sizeof buffer ||
        !read_full(fd, buffer, head.length))
        die("the lab went away, or did not accept the request");
    memcpy(&number, buffer, sizeof number);
    switch (head.type) {
    case OUTPUT:
        /* Whoever reads our output may have gone: that ends us, and so the command. */
        if (!write_full(1, buffer, head.length))
            exit(141);
        return -1;
    case ERROR:
        if (!write_full(2, buffer, head.length))
            exit(141);
        return -1;
    case TAKEN:
        *window += number;
        return -1;
    case EXIT:
        return (int)number;
    default:
        die("the lab's agent speaks another protocol: run 'lab down', then 'lab up'");
    }
}

static void pass_signal(int fd, int signals) {
    static bool interrupted;
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGWINCH) {
        struct winsize size;
        window_size(&size);
        send_frame(fd, RESIZE, (uint16_t[]){size.ws_row, size.ws_col}, 4);
        return;
    }
    /* The second one ends us, which ends the command whatever it thinks of signals. */
    if (interrupted)
        exit(128 + (int)info.ssi_signo);
    interrupted = true;
    send_frame(fd, SIGNAL, &info.ssi_signo, 4);
}

static bool pass_input(int fd, size_t *window) {
    static char buffer[CHUNK];
    ssize_t n = read(0, buffer, *window < sizeof buffer ? *window : sizeof buffer);
    if (n < 0 && errno == EINTR)
        return true;
    if (n < 0)
        n = 0;
    if (!send_frame(fd, INPUT, buffer, (uint32_t)n))
        die("the lab went away");
    *window -= (size_t)n;
    return n > 0;
}

int main(int argc, char **argv) {
    bool terminal = argc > 2 && strcmp(argv[2], "-t") == 0;
    char **command = argv + 2 + terminal;
    int port;
    char token[TOKEN_LENGTH + 1];
    if (argc < 3 || !*command)
        die("usage: exec ADDRESS-FILE [-t] COMMAND...");
    if (!read_address(argv[1], &port, token))
        die("no lab is up: run 'lab up'");
    int fd = connect_to(port);
    ask(fd, token, terminal, command);

    sigset_t set;
    sigemptyset(&set);
    int passed[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        sigaddset(&set, passed[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (terminal && tcgetattr(0, &saved_terminal) == 0) {
        struct termios raw = saved_terminal;
        cfmakeraw(&raw);
        atexit(restore_terminal);
        tcsetattr(0, TCSADRAIN, &raw);
    }

    size_t window = WINDOW;
    bool input = true;
    for (;;) {
        struct pollfd fds[] = {
            {fd, POLLIN, 0}, {signals, POLLIN, 0}, {input && window > 0 ? 0 : -1, POLLIN, 0}};
        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            die("poll failed");
        if (fds[1].revents)
            pass_signal(fd, signals);
        if (fds[2].revents)
            input = pass_input(fd, &window);
        if (fds[0].revents) {
            int code = hear(fd, &window);
            if (code >= 0)
                return code;
        }
    }
}
