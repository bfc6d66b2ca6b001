// Reading a container's cgroup v2.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "failure.h"
#include "rund/agent/v1/agent.pb-c.h"

// The directory of a process's cgroup; empty when it is the root.
bool cgroup_of(pid_t pid, char *directory, size_t size, struct failure *failure);

// Calls visit for each process in the cgroup and those below it.
void cgroup_processes(const char *directory, void (*visit)(pid_t pid, void *context),
                      void *context);

// Removes an empty cgroup and those below it. False when there is a process in one. None (empty) is
// removed already.
bool cgroup_remove(const char *directory);

// Fills in what there are files for. What it allocates belongs to the response: free it with
// cgroup_stats_free.
void cgroup_stats(const char *directory, Rund__Agent__V1__StatsResponse *response);
void cgroup_stats_free(Rund__Agent__V1__StatsResponse *response);
