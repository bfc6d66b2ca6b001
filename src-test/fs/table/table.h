/* A row is a small script and the answer that POSIX or the man page gives to its last operation.
 * Each row runs in a process and a folder of its own. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct row {
    const char *name;
    const char *script;
    const char *expected;
};

/* Tables end with a row without a name. */
extern const struct row open_rows[], name_rows[], rename_rows[], mode_rows[], permission_rows[];
extern const struct row xattr_rows[], acl_rows[], time_rows[], data_rows[], space_rows[],
    map_rows[];
extern const struct row lock_rows[], directory_rows[], special_rows[], readonly_rows[];

/* What an operation may take: `arg` is its words without its name; missing ones are NULL. */
struct operation {
    const char *name;
    void (*run)(char **arg);
    int least, most;
};

#define MOST_WORDS 8

extern const struct operation name_operations[], data_operations[], metadata_operations[],
    xattr_operations[];
extern const struct operation lock_operations[], directory_operations[], process_operations[];

/* The answer of an operation: "ok" or the name of errno, by its result; or what it was asked for.
 */
void answer(long result);
void answer_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Bytes: printable ones as they are, a zero as '~', any other as '?'. Nothing at all is "(empty)".
 */
void answer_bytes(const void *bytes, size_t count);

/* Ends the row: the script itself is wrong. */
void bad_script(const char *what, const char *word) __attribute__((noreturn));

/* A decimal, octal (0...) or hexadecimal (0x...) number, with k, M or G behind it for powers of
 * 1024. */
long long number(const char *word);
/* Names of constants, with '|' between them. */
long constants(const char *word);
/* A path, in which {255} is a name of 255 letters and {path:4095} a path of that length to ".";
 * {empty} is no letter at all. Lives until eight more are made. */
const char *path(const char *word);
/* The open file that a letter stands for. */
int *slot(const char *word);

/* Runs one operation; the answer is in the buffer. */
#define ANSWER_SIZE 8192
extern char last_answer[ANSWER_SIZE];
void run_operation(char *command);
bool answered_ok(void);

/* What the file system at hand can do. */
void find_features(void);
void print_features(void);
/* NULL if there is none of that name. */
const bool *feature(const char *name);

/* Unmaps what operations mapped, closes what they read as a directory. */
void forget_mappings(void);
void forget_stream(void);

/* Runs the script in a new folder of `where`, in a process of its own if need be, and leaves its
 * answer in `last_answer`. */
void run_script(const char *where, const char *script);
/* The place that cannot be written, or NULL. */
extern const char *readonly_place;
