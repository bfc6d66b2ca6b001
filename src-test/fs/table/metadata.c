/* Operations on what a file system says about files. */
#define _GNU_SOURCE
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static const char *type_of(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "link";
    case S_IFIFO:
        return "fifo";
    case S_IFSOCK:
        return "socket";
    case S_IFCHR:
        return "char";
    case S_IFBLK:
        return "block";
    }
    return "nothing";
}

static struct timespec time_of(const struct stat *s, const char *field) {
    return field[0] == 'a' ? s->st_atim : field[0] == 'm' ? s->st_mtim : s->st_ctim;
}

static void answer_field(const struct stat *s, const char *field) {
    if (strcmp(field, "type") == 0)
        answer_text("%s", type_of(s->st_mode));
    else if (strcmp(field, "mode") == 0)
        answer_text("%04o", s->st_mode & 07777);
    else if (strcmp(field, "owner") == 0)
        answer_text("%u:%u", s->st_uid, s->st_gid);
    else if (strcmp(field, "nlink") == 0)
        answer_text("%lu", (unsigned long)s->st_nlink);
    else if (strcmp(field, "size") == 0)
        answer_text("%lld", (long long)s->st_size);
    else if (strcmp(field, "blocks") == 0)
        answer_text(s->st_blocks > 0 ? "some" : "none");
    else if (strcmp(field, "kilobytes") == 0)
        answer_text("%lld", (long long)s->st_blocks / 2);
    else if (strcmp(field, "device") == 0)
        answer_text("%u:%u", major(s->st_rdev), minor(s->st_rdev));
    else if (strcmp(field, "atime") == 0 || strcmp(field, "mtime") == 0) {
        struct timespec t = time_of(s, field);
        answer_text("%lld.%09ld", (long long)t.tv_sec, t.tv_nsec);
    } else
        bad_script("no such field", field);
}

/* stat PATH FIELD, lstat PATH FIELD, fstat SLOT FIELD */
static void stat_path(char **arg) {
    struct stat s;
    if (stat(path(arg[0]), &s) < 0)
        answer(-1);
    else
        answer_field(&s, arg[1]);
}

static void stat_link(char **arg) {
    struct stat s;
    if (lstat(path(arg[0]), &s) < 0)
        answer(-1);
    else
        answer_field(&s, arg[1]);
}

static void stat_slot(char **arg) {
    struct stat s;
    if (fstat(*slot(arg[0]), &s) < 0)
        answer(-1);
    else
        answer_field(&s, arg[1]);
}

static struct timespec marked;

/* mark PATH FIELD: remembers a time, and lets the clock go on. moved PATH FIELD: whether it is
 * another now. */
static void mark(char **arg) {
    struct stat s;
    struct timespec pause = {0, 30 * 1000 * 1000};
    if (lstat(path(arg[0]), &s) < 0) {
        answer(-1);
        return;
    }
    marked = time_of(&s, arg[1]);
    nanosleep(&pause, NULL);
}

static void moved(char **arg) {
    struct stat s;
    if (lstat(path(arg[0]), &s) < 0) {
        answer(-1);
        return;
    }
    struct timespec t = time_of(&s, arg[1]);
    bool later =
        t.tv_sec > marked.tv_sec || (t.tv_sec == marked.tv_sec && t.tv_nsec > marked.tv_nsec);
    bool equal = t.tv_sec == marked.tv_sec && t.tv_nsec == marked.tv_nsec;
    answer_text(equal ? "no" : later ? "yes" : "backwards");
}

/* recent PATH FIELD: whether a time is within a minute of this clock. */
static void recent(char **arg) {
    struct stat s;
    if (lstat(path(arg[0]), &s) < 0)
        answer(-1);
    else
        answer_text(llabs((long long)time_of(&s, arg[1]).tv_sec - (long long)time(NULL)) < 60
                        ? "yes"
                        : "no");
}

static void change_mode(char **arg) {
    answer(chmod(path(arg[0]), (mode_t)number(arg[1])));
}

static void change_mode_slot(char **arg) {
    answer(fchmod(*slot(arg[0]), (mode_t)number(arg[1])));
}

static void change_owner(char **arg) {
    answer(chown(path(arg[0]), (uid_t)number(arg[1]), (gid_t)number(arg[2])));
}

static void change_link_owner(char **arg) {
    answer(lchown(path(arg[0]), (uid_t)number(arg[1]), (gid_t)number(arg[2])));
}

static void change_owner_slot(char **arg) {
    answer(fchown(*slot(arg[0]), (uid_t)number(arg[1]), (gid_t)number(arg[2])));
}

static void access_path(char **arg) {
    answer(access(path(arg[0]), (int)constants(arg[1])));
}

/* A time: "now", "omit", or seconds and nanoseconds with a dot between. */
static struct timespec time_word(const char *word) {
    struct timespec t = {0, 0};
    if (strcmp(word, "now") == 0)
        t.tv_nsec = UTIME_NOW;
    else if (strcmp(word, "omit") == 0)
        t.tv_nsec = UTIME_OMIT;
    else {
        long long seconds;
        if (sscanf(word, "%lld.%ld", &seconds, &t.tv_nsec) != 2)
            bad_script("not a time", word);
        t.tv_sec = seconds;
    }
    return t;
}

/* utimens PATH ATIME MTIME; utimens PATH null; lutimens; futimens SLOT */
static void change_times(char **arg) {
    if (strcmp(arg[1], "null") == 0) {
        answer(utimensat(AT_FDCWD, path(arg[0]), NULL, 0));
        return;
    }
    struct timespec times[] = {time_word(arg[1]), time_word(arg[2])};
    answer(utimensat(AT_FDCWD, path(arg[0]), times, 0));
}

static void change_link_times(char **arg) {
    struct timespec times[] = {time_word(arg[1]), time_word(arg[2])};
    answer(utimensat(AT_FDCWD, path(arg[0]), times, AT_SYMLINK_NOFOLLOW));
}

static void change_slot_times(char **arg) {
    struct timespec times[] = {time_word(arg[1]), time_word(arg[2])};
    answer(futimens(*slot(arg[0]), times));
}

/* statfs PATH FIELD: longest name, whether the sizes make sense, whether it is read-only. */
static void stat_fs(char **arg) {
    struct statvfs s;
    if (statvfs(path(arg[0]), &s) < 0)
        answer(-1);
    else if (strcmp(arg[1], "name") == 0)
        answer_text("%lu", s.f_namemax);
    else if (strcmp(arg[1], "sizes") == 0)
        answer_text(s.f_bsize >= 512 && s.f_frsize >= 512 && s.f_blocks > 0 &&
                            s.f_bfree <= s.f_blocks && s.f_bavail <= s.f_bfree &&
                            s.f_ffree <= s.f_files
                        ? "sane"
                        : "insane");
    else if (strcmp(arg[1], "access") == 0)
        answer_text(s.f_flag & ST_RDONLY ? "read-only" : "writable");
    else
        bad_script("no such field", arg[1]);
}

static void stat_fs_slot(char **arg) {
    struct statfs s;
    answer(fstatfs(*slot(arg[0]), &s));
}

/* getflags PATH: asks for what chattr(1) sets. */
static void get_flags(char **arg) {
    int flags, fd = open(path(arg[0]), O_RDONLY | O_CLOEXEC);
    answer(fd < 0 ? -1 : ioctl(fd, FS_IOC_GETFLAGS, &flags));
}

const struct operation metadata_operations[] = {{"stat", stat_path, 2, 2},
                                                {"lstat", stat_link, 2, 2},
                                                {"fstat", stat_slot, 2, 2},
                                                {"mark", mark, 2, 2},
                                                {"moved", moved, 2, 2},
                                                {"recent", recent, 2, 2},
                                                {"chmod", change_mode, 2, 2},
                                                {"fchmod", change_mode_slot, 2, 2},
                                                {"chown", change_owner, 3, 3},
                                                {"lchown", change_link_owner, 3, 3},
                                                {"fchown", change_owner_slot, 3, 3},
                                                {"access", access_path, 2, 2},
                                                {"utimens", change_times, 2, 3},
                                                {"lutimens", change_link_times, 3, 3},
                                                {"futimens", change_slot_times, 3, 3},
                                                {"statfs", stat_fs, 2, 2},
                                                {"fstatfs", stat_fs_slot, 1, 1},
                                                {"getflags", get_flags, 1, 1},
                                                {NULL, NULL, 0, 0}};
