/* Operations on locks. */
#define _GNU_SOURCE
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

static struct flock range(char **arg) {
    char type = arg[1][0];
    if (type != 'R' && type != 'W' && type != 'U')
        bad_script("R, W or U", arg[1]);
    return (struct flock){.l_type = type == 'R'   ? F_RDLCK
                                    : type == 'W' ? F_WRLCK
                                                  : F_UNLCK,
                          .l_whence = SEEK_SET,
                          .l_start = number(arg[2]),
                          .l_len = number(arg[3])};
}

static void apply_flock(char **arg) {
    answer(flock(*slot(arg[0]), (int)constants(arg[1])));
}

/* lock SLOT R|W|U START LENGTH: without waiting; lockwait: waits; ofd: the lock is the open file's
 * (F_OFD_SETLK) */
static void lock(char **arg) {
    struct flock wanted = range(arg);
    answer(fcntl(*slot(arg[0]), F_SETLK, &wanted));
}

static void lock_wait(char **arg) {
    struct flock wanted = range(arg);
    answer(fcntl(*slot(arg[0]), F_SETLKW, &wanted));
}

static void lock_description(char **arg) {
    struct flock wanted = range(arg);
    answer(fcntl(*slot(arg[0]), F_OFD_SETLK, &wanted));
}

/* getlock SLOT R|W START LENGTH: what is in the way: "free", or "W 0 10 other", the last word
 * telling whether the holder is a process, and another one. */
static void get_lock(char **arg) {
    struct flock found = range(arg);
    if (fcntl(*slot(arg[0]), F_GETLK, &found) < 0)
        answer(-1);
    else if (found.l_type == F_UNLCK)
        answer_text("free");
    else
        answer_text("%c %lld %lld %s", found.l_type == F_RDLCK ? 'R' : 'W',
                    (long long)found.l_start, (long long)found.l_len,
                    found.l_pid > 0 && found.l_pid != getpid() ? "other" : "nobody");
}

/* lockend SLOT BYTES: takes a lock of BYTES before the end of the file */
static void lock_end(char **arg) {
    struct flock wanted = {.l_type = F_WRLCK,
                           .l_whence = SEEK_END,
                           .l_start = -number(arg[1]),
                           .l_len = number(arg[1])};
    answer(fcntl(*slot(arg[0]), F_SETLK, &wanted));
}

/* status SLOT: O_APPEND and the like, as the kernel keeps them; setstatus SLOT FLAGS */
static void status(char **arg) {
    int flags = fcntl(*slot(arg[0]), F_GETFL);
    if (flags < 0) {
        answer(-1);
        return;
    }
    answer_text("%s%s%s%s",
                (flags & O_ACCMODE) == O_RDONLY   ? "r"
                : (flags & O_ACCMODE) == O_WRONLY ? "w"
                                                  : "rw",
                flags & O_APPEND ? "+append" : "", flags & O_NONBLOCK ? "+nonblock" : "",
                flags & O_DIRECT ? "+direct" : "");
}

static void set_status(char **arg) {
    answer(fcntl(*slot(arg[0]), F_SETFL, constants(arg[1])));
}

const struct operation lock_operations[] = {{"flock", apply_flock, 2, 2},
                                            {"lock", lock, 4, 4},
                                            {"lockwait", lock_wait, 4, 4},
                                            {"ofd", lock_description, 4, 4},
                                            {"getlock", get_lock, 4, 4},
                                            {"lockend", lock_end, 2, 2},
                                            {"status", status, 1, 1},
                                            {"setstatus", set_status, 2, 2},
                                            {NULL, NULL, 0, 0}};
