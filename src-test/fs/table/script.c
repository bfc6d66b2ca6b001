/* The words of a script and the process that runs it. */
#define _GNU_SOURCE
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Far more than any row needs, also on an emulated machine. */
#define PATIENCE_SECONDS 120

char last_answer[ANSWER_SIZE];
const char *readonly_place;

static int slots[26] = {[0 ... 25] = -1};

void answer_text(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_answer, sizeof last_answer, format, arguments);
    va_end(arguments);
}

void answer(long result) {
    const char *name = result >= 0 ? "ok" : strerrorname_np(errno);
    answer_text("%s", name ? name : "unknown errno");
}

void answer_bytes(const void *bytes, size_t count) {
    const unsigned char *from = bytes;
    if (count >= sizeof last_answer)
        count = sizeof last_answer - 1;
    for (size_t i = 0; i < count; i++)
        last_answer[i] = from[i] == 0 ? '~' : from[i] > ' ' && from[i] < 127 ? (char)from[i] : '?';
    last_answer[count] = 0;
    if (count == 0)
        answer_text("(empty)");
}

bool answered_ok(void) {
    /* An errno's name is the only answer that starts with E and a second capital. */
    return !(last_answer[0] == 'E' && last_answer[1] >= 'A' && last_answer[1] <= 'Z');
}

void bad_script(const char *what, const char *word) {
    fprintf(stderr, "posix-table: %s: %s\n", what, word ? word : "(missing)");
    _exit(125);
}

long long number(const char *word) {
    char *end;
    errno = 0;
    long long value = strtoll(word, &end, 0);
    int shift = *end == 'k' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end == word || errno != 0 || (shift != 0 ? end[1] : end[0]) != 0)
        bad_script("not a number", word);
    return value * (1LL << shift);
}

int *slot(const char *word) {
    if (word == NULL || word[0] < 'a' || word[0] > 'z' || word[1] != 0)
        bad_script("not a letter for an open file", word);
    return &slots[word[0] - 'a'];
}

const char *path(const char *word) {
    static char buffers[8][PATH_MAX + 512];
    static int next;
    if (word == NULL)
        bad_script("a path is needed", word);
    if (strcmp(word, "{empty}") == 0)
        return "";
    char *to = buffers[next++ % 8], *start = to;
    for (; *word; word++) {
        if (*word != '{') {
            *to++ = *word;
            continue;
        }
        bool dots = strncmp(word, "{path:", 6) == 0;
        long count = strtol(word + (dots ? 6 : 1), (char **)&word, 10);
        if (*word != '}' || count <= 0 || count > PATH_MAX + 1)
            bad_script("not a length", word);
        for (long i = 0; i < count; i++)
            *to++ = !dots ? 'n' : (count - i) % 2 == 0 ? '/' : '.';
    }
    *to = 0;
    return start;
}

static const struct operation *find(const char *name) {
    static const struct operation *const tables[] = {
        name_operations, data_operations,      metadata_operations, xattr_operations,
        lock_operations, directory_operations, process_operations};
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct operation *o = tables[t]; o->name; o++)
            if (strcmp(o->name, name) == 0)
                return o;
    bad_script("no such operation", name);
}

void run_operation(char *command) {
    char *words[MOST_WORDS + 2] = {NULL}, *rest = NULL;
    int count = 0;
    for (char *w = strtok_r(command, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        if (count > MOST_WORDS)
            bad_script("too many words", command);
        words[count++] = w;
    }
    if (count == 0)
        bad_script("an operation is needed", NULL);
    const struct operation *operation = find(words[0]);
    if (count - 1 < operation->least || count - 1 > operation->most)
        bad_script("wrong number of words", words[0]);
    answer_text("ok");
    operation->run(words + 1);
}

/* All but the last operation must succeed, except those behind a '!'. */
static void run_all(char *script) {
    char *rest = NULL;
    for (char *one = strtok_r(script, ";", &rest); one; one = strtok_r(NULL, ";", &rest)) {
        one += strspn(one, " ");
        bool may_fail = *one == '!';
        char copy[256];
        snprintf(copy, sizeof copy, "%s", one);
        run_operation(one + may_fail);
        bool last = rest == NULL || *rest == 0;
        if (strncmp(last_answer, "unable", 6) == 0)
            return;
        if (!last && !may_fail && !answered_ok()) {
            char got[64];
            snprintf(got, sizeof got, "%s", last_answer);
            answer_text("%s at '%s'", got, copy);
            return;
        }
    }
}

static int remove_one(const char *name, const struct stat *status, int kind, struct FTW *where) {
    (void)status, (void)where;
    if (kind == FTW_DP ? rmdir(name) : unlink(name))
        fprintf(stderr, "posix-table: cannot remove %s: %s\n", name, strerror(errno));
    return 0;
}

/* Runs the script in a folder, and leaves all else as it was. */
static void run_here(const char *place, const char *script) {
    char *copy = strdup(script);
    umask(022);
    if (copy == NULL || chdir(place) < 0)
        bad_script("cannot enter", place);
    run_all(copy);
    free(copy);
}

static void start_anew(void) {
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
        if (slots[i] >= 0)
            close(slots[i]);
        slots[i] = -1;
    }
    forget_mappings();
    forget_stream();
}

/* The process of a row: its own group, so that whatever it started ends with it. */
static void row_process(const char *place, const char *script, int out) {
    setpgid(0, 0);
    alarm(PATIENCE_SECONDS);
    run_here(place, script);
    size_t length = strlen(last_answer);
    if (write(out, last_answer, length) != (ssize_t)length)
        _exit(124);
    _exit(0);
}

static void run_in_process(const char *place, const char *script) {
    int pipes[2], status;
    if (pipe2(pipes, O_CLOEXEC) < 0)
        bad_script("cannot make a pipe", strerror(errno));
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        bad_script("cannot fork", strerror(errno));
    if (child == 0)
        row_process(place, script, pipes[1]);
    setpgid(child, child);
    close(pipes[1]);
    /* No end of file is waited for: helpers of the row have the pipe too. */
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    kill(-child, SIGKILL);
    ssize_t got = read(pipes[0], last_answer, sizeof last_answer - 1);
    last_answer[got > 0 ? got : 0] = 0;
    close(pipes[0]);
    if (WIFSIGNALED(status))
        answer_text("SIG%s", sigabbrev_np(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        answer_text("exit %d", WEXITSTATUS(status));
}

/* Whether a script changes its process for good, or has helpers. A process costs more than all else
 * on an emulated machine. */
static bool needs_process(const char *script) {
    static const char *const lasting[] = {"user ", "limit ", "@", "executing "};
    for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++)
        if (strstr(script, lasting[i]))
            return true;
    return false;
}

void run_script(const char *where, const char *script) {
    static int rows, start = -1;
    char place[PATH_MAX];
    bool own = where != readonly_place;
    if (start < 0 && (start = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        bad_script("cannot open", ".");
    snprintf(place, sizeof place, own ? "%s/row-%d" : "%s", where, ++rows);
    umask(0);
    if (own && mkdir(place, 0777) < 0)
        bad_script("cannot make a folder", place);
    start_anew();
    signal(SIGPIPE, SIG_IGN);
    if (needs_process(script))
        run_in_process(place, script);
    else
        run_here(place, script);
    start_anew();
    if (fchdir(start) < 0)
        bad_script("cannot go back to", ".");
    if (own)
        nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
