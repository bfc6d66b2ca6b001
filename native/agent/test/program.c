// What runs in the containers of the tests: PROGRAM MODE [ARGUMENT].
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int copy_input(void) {
    static char buffer[65536];
    ssize_t n;
    while ((n = read(0, buffer, sizeof buffer)) > 0) {
        for (ssize_t done = 0; done < n;) {
            ssize_t m = write(1, buffer + done, (size_t)(n - done));
            if (m < 0) {
                return 1;
            }
            done += m;
        }
    }
    return 0;
}

// ARGUMENT bytes to stdout.
static int flood(const char *argument) {
    static char line[4096];
    memset(line, 'x', sizeof line);
    for (long left = atol(argument); left > 0; left -= (long)sizeof line) {
        if (write(1, line, left < (long)sizeof line ? (size_t)left : sizeof line) < 0) {
            return 1;
        }
    }
    return 0;
}

// The numbers up to ARGUMENT, one a line.
static int count(const char *argument) {
    long last = atol(argument);
    for (long i = 1; i <= last; i++) {
        printf("%ld\n", i);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

// Leaves a child behind that holds stdout.
static int orphan(void) {
    if (fork() == 0) {
        sleep(1000);
        _exit(0);
    }
    return write(1, "parent\n", 7) == 7 ? 3 : 1;
}

static int open_stdout(void) {
    int fd = open("/proc/self/fd/1", O_WRONLY);
    return fd >= 0 && write(fd, "opened\n", 7) == 7 ? 0 : 1;
}

static void print_size(int signal) {
    (void)signal;
    struct winsize size;
    char text[64];
    if (ioctl(0, TIOCGWINSZ, &size) == 0) {
        int length = snprintf(text, sizeof text, "%u x %u\n", size.ws_row, size.ws_col);
        if (write(1, text, (size_t)length) < 0) {
            _exit(1);
        }
    }
    if (signal != 0 && size.ws_row == 50) {
        _exit(0);
    }
}

// The terminal's size, now and whenever it changes, until it has 50 rows.
_Noreturn static void watch_size(void) {
    signal(SIGWINCH, print_size);
    print_size(0);
    for (;;) {
        pause();
    }
}

// Takes memory until there is none.
_Noreturn static void hoard(void) {
    enum { CHUNK = 1 << 20 };
    for (;;) {
        char *memory = malloc(CHUNK);
        if (memory != NULL) {
            memset(memory, 'x', CHUNK);
        }
    }
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    const char *argument = argc > 2 ? argv[2] : "";
    if (strcmp(mode, "hoard") == 0) {
        hoard();
    }
    if (strcmp(mode, "exit") == 0) {
        return atoi(argument);
    }
    if (strcmp(mode, "say") == 0) {
        return dprintf(1, "out %s\n", argument) < 0 || dprintf(2, "err %s\n", argument) < 0;
    }
    if (strcmp(mode, "cat") == 0) {
        return copy_input();
    }
    if (strcmp(mode, "flood") == 0) {
        return flood(argument);
    }
    if (strcmp(mode, "count") == 0) {
        return count(argument);
    }
    if (strcmp(mode, "orphan") == 0) {
        return orphan();
    }
    if (strcmp(mode, "open-stdout") == 0) {
        return open_stdout();
    }
    if (strcmp(mode, "watch-size") == 0) {
        watch_size();
    }
    if (strcmp(mode, "sleep") == 0) {
        signal(SIGTERM, _exit); // with status 15; PID 1 ignores what it does not handle
        sleep(1000);
    }
    return 99;
}
