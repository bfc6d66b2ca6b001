// When the agent began and was ready, CLOCK_BOOTTIME in nanoseconds.
#pragma once

#include <stdint.h>

int64_t clock_boottime(void);
extern int64_t clock_main;
extern int64_t clock_ready;
