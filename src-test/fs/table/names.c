/* Operations on names: making, linking, renaming, removing. */
#define _GNU_SOURCE
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static mode_t mode_of(const char *word, mode_t otherwise) {
    return word ? (mode_t)number(word) : otherwise;
}

/* creat PATH [MODE [CONTENT]]: a new file that was not there. */
static void creat_new(char **arg) {
    int fd = open(path(arg[0]), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode_of(arg[1], 0644));
    if (fd >= 0 && arg[2] && write(fd, arg[2], strlen(arg[2])) < 0) {
        answer(-1);
        close(fd);
        return;
    }
    answer(fd);
    if (fd >= 0)
        close(fd);
}

static void make_directory(char **arg) {
    answer(mkdir(path(arg[0]), mode_of(arg[1], 0755)));
}

/* mkdirs PREFIX COUNT: that many folders beside each other. */
static void make_directories(char **arg) {
    char name[PATH_MAX];
    for (long long i = 0; i < number(arg[1]); i++) {
        snprintf(name, sizeof name, "%s%lld", path(arg[0]), i);
        if (mkdir(name, 0755) < 0) {
            answer(-1);
            return;
        }
    }
}

static void make_directory_at(char **arg) {
    answer(mkdirat(*slot(arg[0]), path(arg[1]), mode_of(arg[2], 0755)));
}

/* mknod PATH fifo|socket|file|char:MAJOR:MINOR|block:MAJOR:MINOR [MODE] */
static void make_node(char **arg) {
    unsigned major = 0, minor = 0;
    mode_t type = 0;
    if (strcmp(arg[1], "fifo") == 0)
        type = S_IFIFO;
    else if (strcmp(arg[1], "socket") == 0)
        type = S_IFSOCK;
    else if (strcmp(arg[1], "file") == 0)
        type = S_IFREG;
    else if (sscanf(arg[1], "char:%u:%u", &major, &minor) == 2)
        type = S_IFCHR;
    else if (sscanf(arg[1], "block:%u:%u", &major, &minor) == 2)
        type = S_IFBLK;
    else
        bad_script("not a type", arg[1]);
    answer(mknod(path(arg[0]), type | mode_of(arg[2], 0644), makedev(major, minor)));
}

/* symlink TARGET PATH */
static void make_symlink(char **arg) {
    answer(symlink(path(arg[0]), path(arg[1])));
}

/* chain NAME COUNT: NAME1 leads to NAME0, NAME2 to NAME1, up to NAME<COUNT>. */
static void chain(char **arg) {
    char from[64], to[64];
    for (long long i = 1; i <= number(arg[1]); i++) {
        snprintf(to, sizeof to, "%s%lld", arg[0], i - 1);
        snprintf(from, sizeof from, "%s%lld", arg[0], i);
        if (symlink(to, from) < 0) {
            answer(-1);
            return;
        }
    }
}

static void read_link(char **arg) {
    char target[PATH_MAX + 1];
    ssize_t n = readlink(path(arg[0]), target, arg[1] ? (size_t)number(arg[1]) : sizeof target);
    if (n < 0)
        answer(n);
    else if (n > 100)
        answer_text("%zd bytes", n);
    else
        answer_bytes(target, (size_t)n);
}

static void make_link(char **arg) {
    answer(link(path(arg[0]), path(arg[1])));
}

/* linkat PATH NEW FLAGS */
static void link_at(char **arg) {
    answer(linkat(AT_FDCWD, path(arg[0]), AT_FDCWD, path(arg[1]), (int)constants(arg[2])));
}

/* linkfd SLOT NEW: names an open file, as open(2) says for O_TMPFILE. */
static void link_descriptor(char **arg) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", *slot(arg[0]));
    answer(linkat(AT_FDCWD, self, AT_FDCWD, path(arg[1]), AT_SYMLINK_FOLLOW));
}

static void remove_name(char **arg) {
    answer(unlink(path(arg[0])));
}

static void remove_directory(char **arg) {
    answer(rmdir(path(arg[0])));
}

/* unlinkat SLOT NAME FLAGS */
static void remove_at(char **arg) {
    answer(unlinkat(*slot(arg[0]), path(arg[1]), (int)constants(arg[2])));
}

static void rename_plain(char **arg) {
    answer(rename(path(arg[0]), path(arg[1])));
}

static void rename_flags(char **arg) {
    answer(renameat2(AT_FDCWD, path(arg[0]), AT_FDCWD, path(arg[1]), (unsigned)constants(arg[2])));
}

/* renameat SLOT NAME SLOT NAME */
static void rename_at(char **arg) {
    answer(renameat(*slot(arg[0]), path(arg[1]), *slot(arg[2]), path(arg[3])));
}

static void change_directory(char **arg) {
    answer(chdir(path(arg[0])));
}

static void change_directory_at(char **arg) {
    answer(fchdir(*slot(arg[0])));
}

/* cwd: the last component of the working directory. */
static void working_directory(char **arg) {
    (void)arg;
    char name[PATH_MAX];
    if (getcwd(name, sizeof name) == NULL)
        answer(-1);
    else
        answer_text("%s", strrchr(name, '/') + 1);
}

/* same PATH PATH: whether both lead to one file. */
static void same(char **arg) {
    struct stat one, other;
    if (stat(path(arg[0]), &one) < 0 || stat(path(arg[1]), &other) < 0)
        answer(-1);
    else
        answer_text(one.st_ino == other.st_ino && one.st_dev == other.st_dev ? "yes" : "no");
}

/* absolute PATH: a symbolic link of the name "absolute" to the absolute name of PATH. */
static void absolute(char **arg) {
    char *target = realpath(path(arg[0]), NULL);
    answer(target ? symlink(target, "absolute") : -1);
    free(target);
}

const struct operation name_operations[] = {{"creat", creat_new, 1, 3},
                                            {"mkdir", make_directory, 1, 2},
                                            {"mkdirs", make_directories, 2, 2},
                                            {"mkdirat", make_directory_at, 2, 3},
                                            {"mknod", make_node, 2, 3},
                                            {"symlink", make_symlink, 2, 2},
                                            {"chain", chain, 2, 2},
                                            {"readlink", read_link, 1, 2},
                                            {"link", make_link, 2, 2},
                                            {"linkat", link_at, 3, 3},
                                            {"linkfd", link_descriptor, 2, 2},
                                            {"unlink", remove_name, 1, 1},
                                            {"rmdir", remove_directory, 1, 1},
                                            {"unlinkat", remove_at, 3, 3},
                                            {"rename", rename_plain, 2, 2},
                                            {"rename2", rename_flags, 3, 3},
                                            {"renameat", rename_at, 4, 4},
                                            {"cd", change_directory, 1, 1},
                                            {"fcd", change_directory_at, 1, 1},
                                            {"cwd", working_directory, 0, 0},
                                            {"same", same, 2, 2},
                                            {"absolute", absolute, 1, 1},
                                            {NULL, NULL, 0, 0}};
