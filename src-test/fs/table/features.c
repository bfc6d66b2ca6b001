/* What not every file system can do, found out by doing it. */
#define _GNU_SOURCE
#include "table.h"

#include <stdio.h>
#include <string.h>

static struct {
    const char *name;
    const char *script;
    bool present;
} features[] = {
    {"user-xattr", "creat f; setxattr f user.a 1", false},
    {"trusted-xattr", "creat f; setxattr f trusted.a 1", false},
    {"acl", "creat f; setacl f access u::rw-,g::r--,o::r--", false},
    {"o-direct", "open a f O_CREAT|O_RDWR|O_DIRECT 0644", false},
    {"o-tmpfile", "open a . O_TMPFILE|O_RDWR 0644", false},
    {"punch",
     "open a f O_CREAT|O_RDWR 0644; fallocate a FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE 0 4k",
     false},
    {"zero-range", "open a f O_CREAT|O_RDWR 0644; fallocate a FALLOC_FL_ZERO_RANGE 0 4k", false},
    {"collapse",
     "open a f O_CREAT|O_RDWR 0644; ftruncate a 64k; fallocate a FALLOC_FL_COLLAPSE_RANGE 0 4k",
     false},
    {"exchange", "creat f; creat g; rename2 f g RENAME_EXCHANGE", false},
    {"whiteout", "creat f; rename2 f g RENAME_WHITEOUT", false},
    {"attribute-flags", "creat f; getflags f", false},
};

#define COUNT (sizeof features / sizeof *features)

void find_features(void) {
    for (size_t i = 0; i < COUNT; i++) {
        run_script(".", features[i].script);
        features[i].present = answered_ok();
    }
}

void print_features(void) {
    for (size_t i = 0; i < COUNT; i++)
        printf("feature/%s %s\n", features[i].name, features[i].present ? "yes" : "no");
}

const bool *feature(const char *name) {
    for (size_t i = 0; i < COUNT; i++)
        if (strcmp(features[i].name, name) == 0)
            return &features[i].present;
    return NULL;
}
