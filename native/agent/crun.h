// Running the container executor, and what it says when it fails.
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "failure.h"

// A path under /run/rund/.tmp that nobody else uses, short enough for a unix socket's address.
struct temporary {
    char path[48];
};
struct temporary temporary_path(void);

enum { CRUN_ARGUMENTS_MAX = 16 };

// Gets crun ready to be run; once, before anything else.
void crun_load(void);

// Runs crun with the arguments (ended by NULL). streams are its standard streams and those of the
// process that it creates; NULL means /dev/null. Without the lock.
bool crun(const char *const arguments[], const int streams[3], struct failure *failure);
