// rund-anchor: the process that stands for one sandbox on the host.
//
//   rund-anchor ID NETNS CGROUP
//
// It joins the pod's network namespace and cgroup and then only waits, so that people and daemons
// have a pid to look at (/proc/PID/ns/net) and to kill. NETNS is a path, "new", or "-" to stay;
// CGROUP is a directory of cgroup v2, or "-" to stay.
//
// stdin is the read end of a pipe whose write end only the engine holds: end of file means that the
// engine let go of the sandbox or died. stdout is a pipe: one NUL byte says ready, any other text
// is the reason of a failure. SIGTERM and SIGKILL end it at once; the engine sees that by its pidfd
// and stops the sandbox.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Noreturn void fail(const char *format, ...) {
    int error = errno;
    char text[PATH_MAX + 256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof text) {
        length += snprintf(text + length, sizeof text - (size_t)length, ": %s", strerror(error));
    }
    if (length > (int)sizeof text - 1) {
        length = (int)sizeof text - 1;
    }
    // Nobody reads: nothing is left to be said to anyone.
    _exit(write(STDOUT_FILENO, text, (size_t)length) == length ? 1 : 2);
}

static void default_signals(void) {
    // The engine's JVM blocks some signals in its threads; a mask survives exec.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGTERM, SIG_DFL);
    static const int terminal[] = {SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};
    for (size_t i = 0; i < sizeof terminal / sizeof terminal[0]; i++) {
        signal(terminal[i], SIG_IGN);
    }
}

static void bring_up_loopback(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0) {
        fail("cannot bring up lo in the sandbox's new network namespace");
    }
    close(fd);
}

static void join_network(const char *netns) {
    if (strcmp(netns, "-") == 0) {
        return;
    }
    if (strcmp(netns, "new") == 0) {
        if (unshare(CLONE_NEWNET) < 0) {
            fail("cannot make a network namespace");
        }
        bring_up_loopback();
        return;
    }
    int fd = open(netns, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fail("cannot open the sandbox's network namespace %s", netns);
    }
    if (setns(fd, CLONE_NEWNET) < 0) {
        fail("cannot join the sandbox's network namespace %s", netns);
    }
    close(fd);
}

static void make_directories(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST) {
            fail("cannot make cgroup %s", path);
        }
        *slash = '/';
    }
    if (mkdir(path, 0755) < 0 && errno != EEXIST) {
        fail("cannot make the sandbox's cgroup %s", path);
    }
}

// Moves this process into a cgroup. False leaves the reason in errno.
static bool enter_cgroup(const char *directory) {
    char file[PATH_MAX + 16];
    snprintf(file, sizeof file, "%s/cgroup.procs", directory);
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool moved = write(fd, "0", 1) == 1;
    int error = errno;
    close(fd);
    errno = error;
    return moved;
}

// The engine is gone or has let go: leaves the cgroup for the nearest ancestor that takes processes
// (one with domain controllers does not; the root always does) and removes it, since nobody else
// may be left to.
static void remove_cgroup(const char *directory) {
    char ancestor[PATH_MAX];
    snprintf(ancestor, sizeof ancestor, "%s", directory);
    for (char *slash = strrchr(ancestor, '/'); slash != NULL && slash != ancestor;
         slash = strrchr(ancestor, '/')) {
        *slash = '\0';
        if (enter_cgroup(ancestor)) {
            rmdir(directory);
            return;
        }
    }
}

static void wait_for_end_of_file(void) {
    char ignored[64];
    ssize_t count;
    do {
        count = read(STDIN_FILENO, ignored, sizeof ignored);
    } while (count > 0 || (count < 0 && errno == EINTR));
}

int main(int argc, char **argv) {
    if (argc != 4) {
        dprintf(STDERR_FILENO,
                "usage: rund-anchor ID NETNS|new|- CGROUP|- (started by rund-engine)\n");
        return 64;
    }
    const char *id = argv[1];
    char *cgroup = argv[3];
    syscall(SYS_close_range, 3U, ~0U, 0U);
    setsid();
    default_signals();
    char name[16]; // what TASK_COMM_LEN leaves of it
    snprintf(name, sizeof name, "rund:%s", id);
    prctl(PR_SET_NAME, name);

    bool own_cgroup = strcmp(cgroup, "-") != 0;
    if (own_cgroup) {
        if (cgroup[0] != '/' || strlen(cgroup) >= PATH_MAX) {
            errno = EINVAL;
            fail("cgroup %s is not an absolute path", cgroup);
        }
        make_directories(cgroup);
        if (!enter_cgroup(cgroup)) {
            fail("cannot enter the sandbox's cgroup %s", cgroup);
        }
    }
    join_network(argv[2]);
    if (chdir("/") < 0 || write(STDOUT_FILENO, "", 1) != 1) {
        return 1;
    }
    close(STDOUT_FILENO);
    wait_for_end_of_file();
    if (own_cgroup) {
        remove_cgroup(cgroup);
    }
    return 0;
}
