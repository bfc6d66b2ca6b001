/* Operations on the contents of directories. */
#define _GNU_SOURCE
#include "table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_NAMES 10000

static DIR *stream;

static int by_name(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static bool dots(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* list PATH: names in order, with commas, without the dots */
static void list(char **arg) {
    char *names[256], line[4096] = "";
    size_t count = 0;
    DIR *d = opendir(path(arg[0]));
    if (d == NULL) {
        answer(-1);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL && count < 256;)
        if (!dots(e->d_name))
            names[count++] = strdup(e->d_name);
    closedir(d);
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(line);
        snprintf(line + used, sizeof line - used, "%s%s", i ? "," : "", names[i]);
    }
    answer_text("%s", count ? line : "(empty)");
}

/* files COUNT: f0, f1... in the working directory */
static void make_files(char **arg) {
    char name[32];
    for (long long i = 0; i < number(arg[0]); i++) {
        snprintf(name, sizeof name, "f%lld", i);
        int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
        if (fd < 0) {
            answer(-1);
            return;
        }
        close(fd);
    }
}

/* Counts each f<number> that is read from here to the end. */
static void count_rest(unsigned char *seen, long *others) {
    long long i;
    char end;
    for (struct dirent *e; (e = readdir(stream)) != NULL;)
        if (sscanf(e->d_name, "f%lld%c", &i, &end) == 1 && i >= 0 && i < MOST_NAMES)
            seen[i]++;
        else if (!dots(e->d_name))
            ++*others;
}

static void answer_counts(const unsigned char *seen, long others, long long first, long long last) {
    long missing = 0, twice = 0, unexpected = others;
    for (long long i = 0; i < MOST_NAMES; i++) {
        missing += i >= first && i < last && seen[i] == 0;
        twice += seen[i] > 1;
        unexpected += (i < first || i >= last) && seen[i] > 0;
    }
    if (missing || twice || unexpected)
        answer_text("missing %ld, twice %ld, unexpected %ld", missing, twice, unexpected);
}

/* opendir PATH */
static void open_directory(char **arg) {
    stream = opendir(path(arg[0]));
    answer(stream ? 0 : -1);
}

/* all FIRST LAST: reads the stream to its end; ok if each f<FIRST>..f<LAST - 1> comes once, and
 * nothing else */
static void all(char **arg) {
    unsigned char *seen = calloc(MOST_NAMES, 1);
    long others = 0;
    count_rest(seen, &others);
    answer_counts(seen, others, number(arg[0]), number(arg[1]));
}

/* some COUNT: reads that many entries */
static void some(char **arg) {
    for (long long i = 0; i < number(arg[0]); i++)
        if (readdir(stream) == NULL) {
            answer_text("end");
            return;
        }
}

static void rewind_directory(char **arg) {
    (void)arg;
    rewinddir(stream);
}

/* next: the name of the next entry, "end" at the end */
static void next(char **arg) {
    (void)arg;
    errno = 0;
    struct dirent *e = readdir(stream);
    if (e == NULL && errno != 0)
        answer(-1);
    else
        answer_text("%s", e == NULL ? "end" : dots(e->d_name) ? "dots" : e->d_name);
}

/* seekback: remembers each position of a whole reading, then goes to them in turn from the last to
 * the first */
static void seek_back(char **arg) {
    (void)arg;
    static struct {
        long at;
        char name[256];
    } read[MOST_NAMES];
    size_t count = 0;
    for (;;) {
        long at = telldir(stream);
        struct dirent *e = readdir(stream);
        if (e == NULL || count == MOST_NAMES)
            break;
        read[count].at = at;
        snprintf(read[count++].name, sizeof read->name, "%s", e->d_name);
    }
    for (size_t i = count; i-- > 0;) {
        seekdir(stream, read[i].at);
        struct dirent *e = readdir(stream);
        if (e == NULL || strcmp(e->d_name, read[i].name) != 0) {
            answer_text("%s at the place of %s", e ? e->d_name : "the end", read[i].name);
            return;
        }
    }
}

/* deleting COUNT: reads entries and removes each as it comes, as rm does; ok if none is left */
static void deleting(char **arg) {
    unsigned char *seen = calloc(MOST_NAMES, 1);
    long long i;
    for (struct dirent *e; (e = readdir(stream)) != NULL;)
        if (sscanf(e->d_name, "f%lld", &i) == 1 && i < MOST_NAMES) {
            seen[i]++;
            if (unlink(e->d_name) < 0) {
                answer_text("%s: %s", e->d_name, strerrorname_np(errno));
                return;
            }
        }
    answer_counts(seen, 0, 0, number(arg[0]));
}

/* delete FIRST LAST: f<FIRST>..f<LAST - 1> */
static void delete_some(char **arg) {
    char name[32];
    for (long long i = number(arg[0]); i < number(arg[1]); i++) {
        snprintf(name, sizeof name, "f%lld", i);
        if (unlink(name) < 0) {
            answer(-1);
            return;
        }
    }
}

/* consistent PATH: whether type and inode number of each entry are those that lstat(2) tells */
static void consistent(char **arg) {
    DIR *d = opendir(path(arg[0]));
    if (d == NULL) {
        answer(-1);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct stat s;
        if (strcmp(e->d_name, "..") == 0)
            continue;
        if (fstatat(dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW) < 0)
            answer(-1);
        else if (e->d_type != DT_UNKNOWN && e->d_type != IFTODT(s.st_mode))
            answer_text("type of %s", e->d_name);
        else if (e->d_ino != s.st_ino)
            answer_text("inode of %s", e->d_name);
    }
    closedir(d);
}

void forget_stream(void) {
    if (stream != NULL)
        closedir(stream);
    stream = NULL;
}

const struct operation directory_operations[] = {{"list", list, 1, 1},
                                                 {"files", make_files, 1, 1},
                                                 {"opendir", open_directory, 1, 1},
                                                 {"all", all, 2, 2},
                                                 {"some", some, 1, 1},
                                                 {"rewind", rewind_directory, 0, 0},
                                                 {"next", next, 0, 0},
                                                 {"seekback", seek_back, 0, 0},
                                                 {"deleting", deleting, 1, 1},
                                                 {"delete", delete_some, 2, 2},
                                                 {"consistent", consistent, 1, 1},
                                                 {NULL, NULL, 0, 0}};
