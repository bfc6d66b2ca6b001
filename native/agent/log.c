#define _GNU_SOURCE
#include "log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int log_fd = STDERR_FILENO;

void log_open(void) {
    int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        log_fd = fd;
    }
}

// One write(2) is one record of /dev/kmsg; "<N>" is the priority
// (Documentation/ABI/testing/dev-kmsg).
static void log_line(int priority, const char *format, va_list args) {
    char line[512];
    size_t length = (size_t)snprintf(line, sizeof line, "<%d>rund-agent: ", priority);
    vsnprintf(line + length, sizeof line - length - 1, format, args);
    length = strlen(line);
    line[length++] = '\n';
    ssize_t written = write(log_fd, line, length);
    (void)written; // a log that cannot be written has nowhere to say so
}

void log_info(const char *format, ...) {
    va_list args;
    va_start(args, format);
    log_line(6, format, args);
    va_end(args);
}

void log_error(const char *format, ...) {
    va_list args;
    va_start(args, format);
    log_line(3, format, args);
    va_end(args);
}

void log_fatal(const char *format, ...) {
    va_list args;
    va_start(args, format);
    log_line(0, format, args);
    va_end(args);
}
