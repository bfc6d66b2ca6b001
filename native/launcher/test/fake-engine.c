// Plays the engine for launcher-test.sh. RUND_FAKE says how it behaves:
//   serve    listens, says ready, answers Hello and Destroy
//   slow     the same after half a second, so that concurrent starts meet
//   mute     accepts connections and says nothing
//   babble   answers what no ttrpc server does
//   refuse   says on the ready descriptor why it cannot start
//   die      writes to its log and exits with status 3
//   crash    is killed by a signal
//   report   writes what a JVM writes when it dies of its own fault, which is long, and is killed
// It appends its pid to $RUND_FAKE_STARTS, and its arguments to $RUND_FAKE_STARTS.arguments.
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool take(int fd, uint8_t *bytes, size_t length) {
    while (length > 0) {
        ssize_t count = read(fd, bytes, length);
        if (count <= 0) {
            return false;
        }
        bytes += count;
        length -= (size_t)count;
    }
    return true;
}

static void answer(int fd) {
    // Response{payload = {DeleteResponse{pid = 7, exit_status = 9} as field 1}}, or an empty
    // Response.
    static const uint8_t destroyed[] = {0, 0,  0, 8,    0, 0,    0, 1,    2,
                                        0, 18, 6, 0x0a, 4, 0x08, 7, 0x10, 9};
    static const uint8_t greeted[] = {0, 0, 0, 0, 0, 0, 0, 1, 2, 0};
    uint8_t frame[65536];
    if (!take(fd, frame, 10)) {
        return;
    }
    size_t length = (size_t)frame[2] << 8 | frame[3];
    if (!take(fd, frame, length)) {
        return;
    }
    bool destroy = memmem(frame, length, "Destroy", 7) != NULL;
    if (memmem(frame, length, "rund.v1.Engine", 14) == NULL ||
        write(fd, destroy ? destroyed : greeted, destroy ? sizeof destroyed : sizeof greeted) < 0) {
        exit(1);
    }
}

static const char *option(char **arguments, const char *name) {
    for (; *arguments != NULL; arguments++) {
        if (strcmp(*arguments, name) == 0) {
            return arguments[1];
        }
    }
    exit(64);
}

static void record(char **arguments) {
    char path[4096];
    const char *starts = getenv("RUND_FAKE_STARTS");
    FILE *file = fopen(starts, "a");
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);
    snprintf(path, sizeof path, "%s.arguments", starts);
    file = fopen(path, "a");
    for (; *arguments != NULL; arguments++) {
        fprintf(file, "%s ", *arguments);
    }
    fputc('\n', file);
    fclose(file);
}

int main(int argc, char **argv) {
    const char *behaviour = getenv("RUND_FAKE");
    (void)argc;
    record(argv);
    if (strcmp(behaviour, "refuse") == 0) {
        return write(3, "no /dev/kvm here", 16) == 16 ? 1 : 2;
    }
    if (strcmp(behaviour, "die") == 0) {
        fprintf(stderr, "java.lang.Error: last words\n");
        return 3;
    }
    if (strcmp(behaviour, "report") == 0) {
        fprintf(stderr, "#\n# A fatal error has been detected by the Java Runtime Environment:\n"
                        "#\n# Problematic frame:\n");
        for (int line = 0; line < 4000; line++) {
            fprintf(stderr, "line %d of what there was\n", line);
        }
        fflush(stderr);
        raise(SIGKILL);
    }
    if (strcmp(behaviour, "crash") == 0) {
        raise(SIGKILL);
    }
    if (strcmp(behaviour, "slow") == 0) {
        usleep(500 * 1000);
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", option(argv, "--socket"));
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 64) < 0 || write(3, "ready\n", 6) != 6) {
        perror("fake-engine");
        return 1;
    }
    close(3);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (strcmp(behaviour, "mute") == 0) {
            continue;
        }
        if (strcmp(behaviour, "babble") == 0) {
            dprintf(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
        } else {
            answer(fd);
        }
        close(fd);
    }
}
