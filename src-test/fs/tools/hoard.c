/* hoard DIR [SECONDS]: opens each file below DIR and closes none, like a guest that wants all there
 * is. Says how many it got, what it was told then, whether it can go on with what it has, and
 * whether all is as before when it has let go. */
#define _GNU_SOURCE
#include "tools.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST 1000000

int hoard(int argc, char **argv) {
    static int held[MOST];
    struct rlimit limit = {MOST, MOST};
    if (argc < 2)
        return 125;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        perror("fs-tool: more open files need CAP_SYS_RESOURCE");
        return 1;
    }
    char *roots[] = {argv[1], NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOSTAT | FTS_NOCHDIR, NULL);
    long count = 0;
    int error = 0;
    for (FTSENT *e; walk && error == 0 && count < MOST && (e = fts_read(walk)) != NULL;) {
        if (e->fts_info == FTS_DP)
            continue;
        if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
            error = e->fts_errno;
        else if ((held[count] = open(e->fts_path, O_RDONLY | O_CLOEXEC)) >= 0)
            count++;
        else
            error = errno;
    }
    char byte;
    bool usable = count > 0 && read(held[count - 1], &byte, 1) >= 0;
    printf("held=%ld\ntold=%s\nusable=%s\n", count, error ? strerrorname_np(error) : "nothing",
           usable ? "yes" : "no");
    fflush(stdout);
    if (walk)
        fts_close(walk);
    /* Others may look at what this does to them. */
    sleep(argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0);
    for (long i = 0; i < count; i++)
        close(held[i]);
    struct stat s;
    printf("after=%s\n", stat(argv[1], &s) == 0 ? "works" : strerrorname_np(errno));
    return 0;
}
