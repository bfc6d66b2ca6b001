/* The constants that scripts name. */
#define _GNU_SOURCE
#include "table.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

#define C(name)                                                                                    \
    { #name, name }

static const struct {
    const char *name;
    long value;
} names[] = {C(O_RDONLY),
             C(O_WRONLY),
             C(O_RDWR),
             C(O_CREAT),
             C(O_EXCL),
             C(O_TRUNC),
             C(O_APPEND),
             C(O_DIRECTORY),
             C(O_NOFOLLOW),
             C(O_NONBLOCK),
             C(O_PATH),
             C(O_TMPFILE),
             C(O_DIRECT),
             C(O_SYNC),
             C(O_DSYNC),
             C(O_NOATIME),
             C(RENAME_NOREPLACE),
             C(RENAME_EXCHANGE),
             C(RENAME_WHITEOUT),
             C(FALLOC_FL_KEEP_SIZE),
             C(FALLOC_FL_PUNCH_HOLE),
             C(FALLOC_FL_ZERO_RANGE),
             C(FALLOC_FL_COLLAPSE_RANGE),
             C(FALLOC_FL_INSERT_RANGE),
             C(SEEK_SET),
             C(SEEK_CUR),
             C(SEEK_END),
             C(SEEK_DATA),
             C(SEEK_HOLE),
             C(LOCK_SH),
             C(LOCK_EX),
             C(LOCK_UN),
             C(LOCK_NB),
             C(PROT_NONE),
             C(PROT_READ),
             C(PROT_WRITE),
             C(PROT_EXEC),
             C(MAP_SHARED),
             C(MAP_PRIVATE),
             C(MS_SYNC),
             C(MS_ASYNC),
             C(MS_INVALIDATE),
             C(XATTR_CREATE),
             C(XATTR_REPLACE),
             C(AT_EMPTY_PATH),
             C(AT_SYMLINK_FOLLOW),
             C(AT_SYMLINK_NOFOLLOW),
             C(AT_REMOVEDIR),
             C(IN_CREATE),
             C(IN_MODIFY),
             C(IN_DELETE),
             C(IN_DELETE_SELF),
             C(IN_ATTRIB),
             C(IN_MOVED_FROM),
             C(IN_MOVED_TO),
             C(R_OK),
             C(W_OK),
             C(X_OK),
             C(F_OK),
             {NULL, 0}};

long constants(const char *word) {
    char copy[256], *rest = NULL;
    long value = 0;
    snprintf(copy, sizeof copy, "%s", word);
    for (char *name = strtok_r(copy, "|", &rest); name; name = strtok_r(NULL, "|", &rest)) {
        size_t i = 0;
        while (names[i].name != NULL && strcmp(names[i].name, name) != 0)
            i++;
        if (names[i].name != NULL)
            value |= names[i].value;
        else
            value |= (long)number(name);
    }
    return value;
}
