// Children: starting programs, and reaping everything that PID 1 inherits.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "failure.h"

struct exit_record {
    uint32_t status; // as a shell reports it
    int64_t at;      // CLOCK_REALTIME, nanoseconds
};

// Watches for the end of children. Every child's end goes to reaper_run, or to process_reaped.
void reaper_open(void);

// Runs a program to its end, with three descriptors as its standard streams. Without the lock.
bool reaper_run(char *const arguments[], const int streams[3], uint32_t *status,
                struct failure *failure);

// A process that crun starts may end before its pid is known here. Between reaper_hold and
// reaper_release the ends of children that nobody knows are kept, for reaper_claim to find. All
// need the lock.
void reaper_hold(void);
bool reaper_claim(pid_t pid, struct exit_record *record);
void reaper_release(void);
