// What crun's `start` and `delete` do for a container without hooks, without the process: each is
// two files in crun's state directory and, at the end, the cgroup, but as a program costs a tenth
// of a container's start.
#pragma once

#include <stdbool.h>

// Lets the init go on, which waits for a byte in exec.fifo (crun, src/libcrun/status.c). False when
// there is no such fifo or nobody at its other end.
bool shortcut_start(const char *id);

// Removes the cgroup and the state. False when something is left, which `crun delete` may know what
// to do about.
bool shortcut_delete(const char *id, const char *cgroup);
