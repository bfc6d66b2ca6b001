#define _GNU_SOURCE
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int file_read(const char *path, char *buffer, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    size_t length = 0;
    while (length < size - 1) {
        ssize_t n = read(fd, buffer + length, size - 1 - length);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            int error = errno;
            close(fd);
            errno = error;
            return -1;
        }
        if (n == 0) {
            break;
        }
        length += (size_t)n;
    }
    close(fd);
    buffer[length] = '\0';
    return (int)length;
}

static bool write_all(int fd, const void *content, size_t size) {
    const char *bytes = content;
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        bytes += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool write_to(int fd, const void *content, size_t size) {
    if (fd < 0) {
        return false;
    }
    bool written = write_all(fd, content, size);
    int error = errno;
    close(fd);
    errno = error;
    return written;
}

bool file_write(const char *path, const char *text) {
    return write_to(open(path, O_WRONLY | O_CLOEXEC), text, strlen(text));
}

bool file_create(const char *path, const void *content, size_t size) {
    return write_to(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), content, size);
}
