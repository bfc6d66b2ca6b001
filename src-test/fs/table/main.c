/* posix-table DIR [READONLY-DIR]: one line a row, "NAME ok", "NAME expected X got Y" or "NAME
 * unable: no FEATURE"; exit status 1 if a row answers otherwise than expected. Runs as root; both
 * folders may be on any file system. posix-table prepare DIR: makes what READONLY-DIR, a read-only
 * mount of DIR, has to have. posix-table DIR READONLY-DIR|- GROUP: only one group. */
#define _GNU_SOURCE
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    const struct row *rows;
} groups[] = {{"open", open_rows},
              {"name", name_rows},
              {"rename", rename_rows},
              {"mode", mode_rows},
              {"access", permission_rows},
              {"xattr", xattr_rows},
              {"acl", acl_rows},
              {"time", time_rows},
              {"data", data_rows},
              {"space", space_rows},
              {"map", map_rows},
              {"lock", lock_rows},
              {"directory", directory_rows},
              {"special", special_rows},
              {"readonly", readonly_rows}};

static int prepare(const char *place) {
    static const char script[] = "creat file 0666 content; mkdir dir 0777; creat dir/inner 0666 "
                                 "inner; symlink file link; mknod fifo fifo; mknod null "
                                 "char:1:3; chmod file 0666; chmod dir 0777; mkdir empty";
    static char copy[sizeof script];
    if (chdir(place) < 0) {
        perror(place);
        return 125;
    }
    memcpy(copy, script, sizeof script);
    char *rest = NULL;
    for (char *one = strtok_r(copy, ";", &rest); one; one = strtok_r(NULL, ";", &rest)) {
        run_operation(one);
        if (!answered_ok())
            bad_script(last_answer, script);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "prepare") == 0)
        return prepare(argv[2]);
    /* Run as a program of a row: see `run` and `executing`. */
    if (argc == 2 && strcmp(argv[1], "sleep") == 0)
        return pause();
    if (argc < 2 || argc > 4 || geteuid() != 0) {
        fprintf(stderr, "usage, as root: posix-table DIR [READONLY-DIR|- [GROUP]]\n");
        return 125;
    }
    char *place = realpath(argv[1], NULL);
    if (place == NULL) {
        perror(argv[1]);
        return 125;
    }
    readonly_place = argc > 2 && strcmp(argv[2], "-") != 0 ? realpath(argv[2], NULL) : NULL;
    if (argc > 2 && strcmp(argv[2], "-") != 0 && readonly_place == NULL) {
        perror(argv[2]);
        return 125;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (chdir(place) < 0) {
        perror(place);
        return 125;
    }
    find_features();
    print_features();
    int rows = 0, wrong = 0, unable = 0;
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        bool readonly = groups[g].rows == readonly_rows;
        if ((argc > 3 && strcmp(argv[3], groups[g].name) != 0) ||
            (readonly && readonly_place == NULL))
            continue;
        for (const struct row *row = groups[g].rows; row->name; row++) {
            rows++;
            run_script(readonly ? readonly_place : place, row->script);
            if (strcmp(last_answer, row->expected) == 0) {
                printf("%s/%s ok\n", groups[g].name, row->name);
            } else if (strncmp(last_answer, "unable", 6) == 0) {
                unable++;
                printf("%s/%s %s\n", groups[g].name, row->name, last_answer);
            } else {
                wrong++;
                printf("%s/%s expected %s got %s\n", groups[g].name, row->name, row->expected,
                       last_answer);
            }
        }
    }
    printf("rows=%d ok=%d wrong=%d unable=%d\n", rows, rows - wrong - unable, wrong, unable);
    return wrong > 0;
}
